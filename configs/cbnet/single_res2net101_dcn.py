# The single-member twin of dual_res2net101_dcn.py.
_base_ = './dual_res2net101_dcn.py'
model = dict(assistance=dict(weights=[]), backbone=dict(num_members=1))
