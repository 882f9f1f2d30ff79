# Faster R-CNN, Dual-ResNet-50, 1x: settings as published.
_base_ = [
    '_base_/faster_rcnn.py',
    '_base_/coco.py',
    '_base_/runtime.py',
]
model = dict(
    backbone=dict(
        type='CBResNet',
        cb_del_stages=1,
        cb_inplanes=[64, 256, 512, 1024, 2048],
    ),
    neck=dict(type='CBFPN'),
)
