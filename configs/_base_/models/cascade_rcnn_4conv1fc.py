# Cascade R-CNN with large box heads and one box per class.
_base_ = [
    'mmdet::_base_/models/cascade-rcnn_r50_fpn.py',
    './box_head_4conv1fc.py',
]
model = dict(
    roi_head=dict(
        bbox_head=[
            dict(head, **_base_.box_head_4conv1fc, reg_class_agnostic=False)
            for head in _base_.model.roi_head.bbox_head
        ],
    ),
)
