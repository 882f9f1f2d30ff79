# Cascade Mask R-CNN for a plain ViT, whose last map makes the pyramid, and for
# images of 1536 pixels; convolutions and norms of the heads as in ViTDet.
_base_ = 'mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py'
norm = dict(type='GN', num_groups=1)
# Deviation: heads of CB-EVA-02. Norms see all positions, and each
# stage of the cascade has a mask head.
model = dict(
    data_preprocessor=dict(
        # as timm's EVA-02 was trained
        mean=[122.7709383, 116.7460125, 104.09373615],
        std=[68.5005327, 66.6321579, 70.32316305],
        batch_augments=[
            dict(type='BatchFixedSizePad', size=(1536, 1536), pad_mask=True)
        ],
    ),
    neck=dict(_delete_=True, type='SimpleFeaturePyramid', in_channels=1024),
    rpn_head=dict(num_convs=2),
    roi_head=dict(
        bbox_head=[
            dict(
                head,
                type='Shared4Conv1FCBBoxHead',
                conv_out_channels=256,
                norm_cfg=norm,
            )
            for head in _base_.model.roi_head.bbox_head
        ],
        mask_head=dict(norm_cfg=norm),
    ),
    # Deviation: maskness of CB-EVA-02. Masks do not change the scores.
    test_cfg=dict(rcnn=dict(score_thr=0.0, nms=dict(type='soft_nms'))),
)
