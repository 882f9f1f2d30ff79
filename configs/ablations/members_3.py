# Three members, with the default weights of assistance.
_base_ = '../cbnet/dual_r50_mask.py'
model = dict(assistance=dict(weights=[0.5, 1.0]), backbone=dict(num_members=3))
