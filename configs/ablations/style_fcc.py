# The style fcc; dual_r50_mask.py has dhlc.
_base_ = '../cbnet/dual_r50_mask.py'
model = dict(backbone=dict(style='fcc'))
