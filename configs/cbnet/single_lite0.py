# The single-member twin of dual_lite0.py.
_base_ = './dual_lite0.py'
model = dict(assistance=dict(weights=[]), backbone=dict(num_members=1))
