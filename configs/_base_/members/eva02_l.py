# EVA-02-L, 24 blocks of 1024 channels, with patches of 16 pixels, cut after
# the published blocks. Positions have the grid of timm's file (16 x 16) and
# are resized to each image; the kernel of the patches is resized from 14.
# Deviation: attention of CB-EVA-02. Every block sees the whole image.
# Deviation: start of CB-EVA-02. The file is that of the plain ViT.
member = dict(
    type='TimmBackbone',
    model_name='eva02_large_patch14_224',
    patch_size=16,
    img_size=256,
    drop_path_rate=0.3,
    groups=(2, 5, 20, 23),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='timm://eva02_large_patch14_224.mim_m38m',
    ),
)
