# Assistance of weight 0.25; dual_r50_mask.py has 0.5.
_base_ = '../cbnet/dual_r50_mask.py'
model = dict(assistance=dict(weights=[0.25]))
