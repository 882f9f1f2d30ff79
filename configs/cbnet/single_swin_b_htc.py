# The single-member twin of dual_swin_b_htc.py.
_base_ = './dual_swin_b_htc.py'
model = dict(assistance=dict(weights=[]), backbone=dict(num_members=1))
