# Swin-B, 128 channels; Microsoft's ImageNet-22k weights (224 pixels).
_base_ = './swin_s.py'
member = dict(
    embed_dims=128,
    num_heads=(4, 8, 16, 32),
    drop_path_rate=0.3,
    init_cfg=dict(
        checkpoint='https://github.com/SwinTransformer/storage/releases/'
        'download/v1.0.0/swin_base_patch4_window7_224_22k.pth',
    ),
)
