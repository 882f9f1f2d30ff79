# Members share the stem and two stages; dual_r50_mask.py shares one stage.
_base_ = '../cbnet/dual_r50_mask.py'
model = dict(backbone=dict(shared_stages=2))
