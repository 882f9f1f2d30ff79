# The single-member twin of dual_swin_t.py.
_base_ = './dual_swin_t.py'
model = dict(assistance=dict(weights=[]), backbone=dict(num_members=1))
