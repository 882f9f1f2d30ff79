# Members share nothing, not even the stem; dual_r50_mask.py shares one stage.
_base_ = '../cbnet/dual_r50_mask.py'
model = dict(backbone=dict(shared_stages=None))
