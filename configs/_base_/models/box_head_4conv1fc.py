# The published large box head: 4 convolutions, 1 fully connected layer, GIoU
# on decoded boxes. The settings of mmdet's cascade stages are kept.
box_head_4conv1fc = dict(
    type='ConvFCBBoxHead',
    num_shared_convs=4,
    num_shared_fcs=1,
    conv_out_channels=256,
    norm_cfg=dict(type='SyncBN', requires_grad=True),
    reg_decoded_bbox=True,
    loss_bbox=dict(type='GIoULoss', loss_weight=10.0),
)
