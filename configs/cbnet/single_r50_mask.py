# The single-member twin of dual_r50_mask.py: a plain detector.
_base_ = './dual_r50_mask.py'
model = dict(assistance=dict(weights=[]), backbone=dict(num_members=1))
