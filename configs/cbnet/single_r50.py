# The single-member twin of dual_r50.py: the plain detector's numbers.
_base_ = './dual_r50.py'
model = dict(assistance=dict(weights=[]), backbone=dict(num_members=1))
