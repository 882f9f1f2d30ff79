# Swin-S, 96 channels; Microsoft's ImageNet-1k weights (224 pixels).
_base_ = './swin_t.py'
member = dict(
    depths=(2, 2, 18, 2),
    init_cfg=dict(
        checkpoint='https://github.com/SwinTransformer/storage/releases/'
        'download/v1.0.0/swin_small_patch4_window7_224.pth',
    ),
)
