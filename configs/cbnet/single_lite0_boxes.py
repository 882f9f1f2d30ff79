# The single-member twin of dual_lite0_boxes.py.
_base_ = './dual_lite0_boxes.py'
model = dict(assistance=dict(weights=[]), backbone=dict(num_members=1))
