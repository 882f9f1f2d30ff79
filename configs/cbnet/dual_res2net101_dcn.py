# Cascade R-CNN, Dual-Res2Net-101-DCN: 53.7 box AP as published.
# 20 epochs of 8 GPUs x 2 images; SGD 0.02 in mixed precision, steps at epochs
# 16 and 19. Members start from res2net101_v1d_26w_4s (ImageNet-1k).
_base_ = [
    'mmdet::_base_/models/cascade-rcnn_r50_fpn.py',
    '../_base_/members/res2net101_dcn.py',
    '../_base_/datasets/coco_detection_1600.py',
    'mmdet::_base_/schedules/schedule_20e.py',
    '../_base_/tta_4scales.py',
    '../_base_/cbnet_runtime.py',
]
model = dict(
    type='AssistedDetector',
    base=_base_.model.type,
    assistance=dict(weights=[0.5], proposals='lead'),
    backbone=dict(
        _delete_=True,
        type='CompositeBackbone',
        member=_base_.member,
        num_members=2,
        style='dhlc',
        shared_stages=1,
    ),
    test_cfg=dict(rcnn=dict(score_thr=0.001, nms=dict(type='soft_nms'))),
)
optim_wrapper = dict(type='AmpOptimWrapper')
