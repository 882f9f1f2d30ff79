# Dual EfficientNet-Lite0 Faster R-CNN: dual_lite0.py for data without masks:
#   cbnet train configs/cbnet/dual_lite0_boxes.py --data-root DIR
_base_ = './dual_lite0.py'
model = dict(
    base='FasterRCNN',
    roi_head=dict(mask_roi_extractor=None, mask_head=None),
)
train = _base_.train_dataloader.dataset.pipeline
train[1].with_mask = False
train_dataloader = dict(dataset=dict(pipeline=train))
test = _base_.val_dataloader.dataset.pipeline
test[2].with_mask = False
val_dataloader = dict(dataset=dict(pipeline=test))
test_dataloader = val_dataloader
val_evaluator = dict(metric='bbox')
test_evaluator = val_evaluator
