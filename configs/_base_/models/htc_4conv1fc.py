# Hybrid Task Cascade with large box heads and one box for all classes.
_base_ = ['./htc.py', './box_head_4conv1fc.py']
model = dict(
    roi_head=dict(
        bbox_head=[
            dict(head, **_base_.box_head_4conv1fc)
            for head in _base_.model.roi_head.bbox_head
        ],
    ),
)
