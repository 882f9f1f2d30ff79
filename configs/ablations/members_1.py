# One member: the plain detector.
_base_ = '../cbnet/dual_r50_mask.py'
model = dict(assistance=dict(weights=[]), backbone=dict(num_members=1))
