# Mask R-CNN with a narrow neck and small heads, for small images and CPUs.
_base_ = 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'
channels = 64
norm = dict(type='GN', num_groups=16)
model = dict(
    data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3),
    neck=dict(
        in_channels=[24, 40, 112, 320],
        out_channels=channels,
        norm_cfg=norm,
    ),
    rpn_head=dict(
        in_channels=channels,
        feat_channels=channels,
        anchor_generator=dict(scales=[4]),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels),
        bbox_head=dict(in_channels=channels, fc_out_channels=256),
        mask_roi_extractor=dict(out_channels=channels),
        mask_head=dict(
            in_channels=channels,
            conv_out_channels=channels,
            class_agnostic=True,
        ),
    ),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=128)),
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(sampler=dict(num=64)),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=500, max_per_img=200),
    ),
)
