# Assistance of weight 1.0; dual_r50_mask.py has 0.5.
_base_ = '../cbnet/dual_r50_mask.py'
model = dict(assistance=dict(weights=[1.0]))
