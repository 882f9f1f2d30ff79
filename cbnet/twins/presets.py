"""Foundation models that can be assistants, by short names.

Each line names a model of timm and the tag of its weights.  The statistics
of its images and its licence are those that timm publishes with the weights;
a test compares the table with timm's.
"""

from dataclasses import dataclass

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CLIP = (
    (0.48145466, 0.4578275, 0.40821073),
    (0.26862954, 0.26130258, 0.27577711),
)
_HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Preset:
    """A pretrained model that can be an assistant.

    Attributes:
        model: timm's name of the model and the tag of its weights.
        licence: the licence of the weights, as timm publishes it.
        patch: the pixels per token of a ViT; None: a pyramid network.
        layers: the blocks, counted from 0, whose outputs are read for four
            stages; None: the outputs of a pyramid network's stages.
        statistics: the mean and the standard deviation of the images, RGB
            from 0 to 1.
    """

    model: str
    licence: str
    patch: int | None
    layers: tuple[int, ...] | None
    statistics: tuple[tuple[float, ...], tuple[float, ...]] = _IMAGENET


_FREE, _DINOV3 = 'apache-2.0', 'dinov3-license'
_TWELVE = (2, 5, 8, 11)
_VIT_S16, _VIT_B16 = 'vit_small_patch16', 'vit_base_patch16'
_SPATIAL = 'vit_pe_spatial'

#: the assistant where none is named; its licence is free
DEFAULT = 'dinov2-s'

PRESETS = {
    'dinov2-s': Preset('vit_small_patch14_dinov2.lvd142m', _FREE, 14, _TWELVE),
    'dinov2-b': Preset('vit_base_patch14_dinov2.lvd142m', _FREE, 14, _TWELVE),
    'dinov3-s': Preset(f'{_VIT_S16}_dinov3.lvd1689m', _DINOV3, 16, _TWELVE),
    'dinov3-b': Preset(f'{_VIT_B16}_dinov3.lvd1689m', _DINOV3, 16, _TWELVE),
    'dinov3-convnext-t': Preset(
        'convnext_tiny.dinov3_lvd1689m', _DINOV3, None, None
    ),
    'dinov3-convnext-s': Preset(
        'convnext_small.dinov3_lvd1689m', _DINOV3, None, None
    ),
    'dinov3-convnext-b': Preset(
        'convnext_base.dinov3_lvd1689m', _DINOV3, None, None
    ),
    'pe-spatial-s': Preset(
        f'{_SPATIAL}_small_patch16_512.fb', _FREE, 16, _TWELVE, _HALF
    ),
    'pe-spatial-b': Preset(
        f'{_SPATIAL}_base_patch16_512.fb', _FREE, 16, _TWELVE, _HALF
    ),
    'clip-b': Preset(f'{_VIT_B16}_clip_224.openai', _FREE, 16, _TWELVE, _CLIP),
    'siglip2-b': Preset(
        f'{_VIT_B16}_siglip_512.v2_webli', _FREE, 16, _TWELVE, _HALF
    ),
    'eva02-b': Preset(
        'eva02_base_patch14_448.mim_in22k_ft_in22k', 'mit', 14, _TWELVE, _CLIP
    ),
    'sam-b': Preset('samvit_base_patch16.sa1b', _FREE, 16, _TWELVE),
}
