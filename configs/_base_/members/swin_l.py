# Swin-L, 192 channels; Microsoft's ImageNet-22k weights (224 pixels).
_base_ = './swin_s.py'
member = dict(
    embed_dims=192,
    num_heads=(6, 12, 24, 48),
    init_cfg=dict(
        checkpoint='https://github.com/SwinTransformer/storage/releases/'
        'download/v1.0.0/swin_large_patch4_window7_224_22k.pth',
    ),
)
