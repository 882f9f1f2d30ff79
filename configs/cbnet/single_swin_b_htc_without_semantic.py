# The single-member twin of dual_swin_b_htc_without_semantic.py.
_base_ = './dual_swin_b_htc_without_semantic.py'
model = dict(assistance=dict(weights=[]), backbone=dict(num_members=1))
