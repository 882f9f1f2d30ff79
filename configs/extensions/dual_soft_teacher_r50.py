# SoftTeacher, Faster R-CNN, Dual-ResNet-50, with a tenth of COCO's labels. The
# losses on labelled images are assisted, those on pseudo labels the lead's.
_base_ = [
    'mmdet::soft_teacher/'
    'soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py',
    '../_base_/plugin.py',
]
model = dict(
    detector=dict(
        type='AssistedDetector',
        base=_base_.model.detector.type,
        assistance=dict(weights=[0.5], proposals='lead'),
        backbone=dict(
            _delete_=True,
            type='CompositeBackbone',
            member=_base_.model.detector.backbone,
            num_members=2,
            style='dhlc',
            shared_stages=1,
        ),
    )
)
