# Each member trains on its own proposals; dual_r50_mask.py takes the lead's.
_base_ = '../cbnet/dual_r50_mask.py'
model = dict(assistance=dict(proposals='own'))
