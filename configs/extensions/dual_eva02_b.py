# As dual_eva02_l.py, with members EVA-02-B, whose composite is not published:
# the cut, after every third block, is ours.
_base_ = './dual_eva02_l.py'
member = dict(
    model_name='eva02_base_patch14_224',
    groups=(2, 5, 8, 11),
    init_cfg=dict(checkpoint='timm://eva02_base_patch14_224.mim_in22k'),
)
model = dict(backbone=dict(member=member), neck=dict(in_channels=768))
