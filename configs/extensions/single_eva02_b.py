# The single-member twin of dual_eva02_b.py.
_base_ = './dual_eva02_b.py'
model = dict(assistance=dict(weights=[]), backbone=dict(num_members=1))
