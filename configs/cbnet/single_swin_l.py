# The single-member twin of dual_swin_l.py.
_base_ = './dual_swin_l.py'
model = dict(assistance=dict(weights=[]), backbone=dict(num_members=1))
