"""Pipelines of mmdet 2.x: nested anew, formatting in one transform."""

from collections.abc import Mapping, Sequence
from typing import Any

from .section import Section
from .transforms import TRANSFORMED, Moved, keep_if_built

#: what a test pipeline tells the metric about an image, as in mmdet 3.x
META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')


def convert_pipeline(
    pipeline: Sequence[Mapping[str, Any]],
    place: str,
    report: list[str],
    moved: Moved,
    test: bool = False,
) -> list[dict[str, Any]]:
    """Convert a pipeline.

    Args:
        pipeline: transforms of mmdet 2.x.
        place: the pipeline's name in the config.
        report: lines for the user.
        moved: collects what does not stay in the pipeline.
        test: whether it is a pipeline for evaluation: ground truth is
            loaded after resizing and never flipped.
    """
    transforms = _converted(pipeline, place, report, moved)
    if not test:
        return [*transforms, dict(type='PackDetInputs')]
    annotations = dict(type='LoadAnnotations', with_bbox=True)
    if moved.with_mask:
        annotations['with_mask'] = True
    kept = [t for t in transforms if t['type'] != 'LoadAnnotations']
    pack = dict(type='PackDetInputs', meta_keys=META_KEYS)
    return [*kept, annotations, pack]


def _converted(
    pipeline: Sequence[Mapping[str, Any]],
    place: str,
    report: list[str],
    moved: Moved,
) -> list[dict[str, Any]]:
    transforms = []
    for i, old in enumerate(pipeline):
        section = Section(old, f'{place}[{i}]', report)
        kind = section.take('type')
        section.place += f' {kind}'
        if kind in FORMATTING:
            for key in FORMATTING[kind]:
                section.take(key)
        elif kind in TRANSFORMED:
            transforms += TRANSFORMED[kind](section, moved)
        elif kind == 'AutoAugment':
            transforms += _choice(section, moved)
        elif kind == 'MultiScaleFlipAug':
            transforms += _test_aug(section, moved)
        else:
            transforms += keep_if_built(kind, section)
        section.close()
    return transforms


# PackDetInputs does their work; keys: what it needs not be told.
FORMATTING = {
    'DefaultFormatBundle': ('img_to_float', 'pad_val'),
    'ImageToTensor': ('keys',),
    'ToTensor': ('keys',),
    'ToDataContainer': ('fields',),
    'Transpose': ('keys', 'order'),
    'Collect': ('keys',),
}


def _choice(section: Section, moved: Moved) -> list[dict[str, Any]]:
    policies = [
        _converted(policy, f'{section.place}[{i}]', section.report, moved)
        for i, policy in enumerate(section.take('policies'))
    ]
    return [dict(type='RandomChoice', transforms=policies)]


def _test_aug(section: Section, moved: Moved) -> list[dict[str, Any]]:
    """Unwrap; 3.x augments at test time elsewhere (``tta_model``)."""
    scales, factors = section.take('img_scale'), section.take('scale_factor')
    scales = scales if isinstance(scales, list) else [scales]
    if len(scales) > 1 or factors is not None:
        section.note(
            'img_scale',
            f'{scales if factors is None else factors}: test-time '
            f'augmentation is left out, '
            f'{"this is not resized" if factors else scales[0]} is used; see '
            f'DetTTAModel of mmdet 3.x',
        )
    directions = section.take('flip_direction')
    if section.take('flip', False):
        section.note(
            'flip',
            f'flipped test images ({directions or "horizontal"}) are left '
            f'out; see DetTTAModel of mmdet 3.x',
        )
    inner = []
    for old in section.take('transforms'):
        kind = old['type']
        if kind == 'Resize' and 'img_scale' not in old and scales[0]:
            old = dict(old, img_scale=scales[0])
        if kind != 'RandomFlip':
            inner.append(old)
    return _converted(inner, section.place, section.report, moved)
