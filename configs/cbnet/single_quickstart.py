# The single-member twin of quickstart.py.
_base_ = './quickstart.py'
model = dict(assistance=dict(weights=[]), backbone=dict(num_members=1))
