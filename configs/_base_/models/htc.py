# Hybrid Task Cascade with its semantic branch, on top of mmdet's Cascade Mask
# R-CNN.
_base_ = 'mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py'
mask_head = dict(_base_.model.roi_head.mask_head, type='HTCMaskHead')
model = dict(
    type='HybridTaskCascade',
    # As published: semantic maps are padded with class 0.
    data_preprocessor=dict(pad_seg=True, seg_pad_value=0),
    roi_head=dict(
        type='StageMeanHTCRoIHead',
        interleaved=True,
        mask_info_flow=True,
        mask_head=[dict(mask_head, with_conv_res=False), mask_head, mask_head],
        semantic_roi_extractor=dict(
            _base_.model.roi_head.mask_roi_extractor, featmap_strides=[8]
        ),
        semantic_head=dict(
            type='FusedSemanticHead',
            num_ins=5,
            fusion_level=1,
            num_classes=183,
            loss_seg=dict(
                type='CrossEntropyLoss',
                ignore_index=255,
                avg_non_ignore=True,
                loss_weight=0.2,
            ),
        ),
    ),
    train_cfg=dict(
        rcnn=[
            dict(rcnn, assigner=dict(rcnn.assigner, match_low_quality=True))
            for rcnn in _base_.model.train_cfg.rcnn
        ],
    ),
)
