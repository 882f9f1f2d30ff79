# Mask R-CNN of mask_rcnn_small.py without its masks.
_base_ = './mask_rcnn_small.py'
model = dict(
    type='FasterRCNN',
    roi_head=dict(mask_roi_extractor=None, mask_head=None),
)
