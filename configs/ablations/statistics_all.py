# All members move the statistics of shared norms, here those of the neck;
# otherwise, only the lead does.
_base_ = '../cbnet/dual_r50_mask.py'
norm_cfg = dict(type='SyncBN')
model = dict(
    assistance=dict(lead_statistics=False), neck=dict(norm_cfg=norm_cfg)
)
