"""Convert pipelines of mmdet 2.x: unfold wrappers, format in one transform."""

from typing import Any

from .section import Section
from .transforms import TRANSFORMED, Transforms, keep_if_built

# the data about an image that a test pipeline gives to the metric, as in 3.x
META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
# transforms whose work PackDetInputs does, and arguments it does not need
FORMATTING = {
    'DefaultFormatBundle': ('img_to_float', 'pad_val'),
    'ImageToTensor': ('keys',),
    'ToTensor': ('keys',),
    'ToDataContainer': ('fields',),
    'Transpose': ('keys', 'order'),
    'Collect': ('keys',),
}


def convert_pipeline(dataset: Section, train: bool) -> Transforms:
    """Convert the pipeline of a dataset.

    Outside training, ground truth is loaded after resizing and not flipped.
    """
    transforms = _converted(dataset.sections('pipeline'))
    if train:
        return [*transforms, dict(type='PackDetInputs')]
    annotations = dict(type='LoadAnnotations', with_bbox=True)
    if dataset.state.with_mask:
        annotations['with_mask'] = True
    kept = [t for t in transforms if t['type'] != 'LoadAnnotations']
    pack = dict(type='PackDetInputs', meta_keys=META_KEYS)
    return [*kept, annotations, pack]


def _converted(pipeline: list[Section]) -> Transforms:
    transforms = []
    for section in pipeline:
        kind = section.take('type')
        section.place += f' {kind}'
        if kind in FORMATTING:
            section.drop(*FORMATTING[kind])
        elif kind in TRANSFORMED:
            transforms += TRANSFORMED[kind](section)
        elif kind == 'AutoAugment':
            transforms.append(_choice(section))
        elif kind == 'MultiScaleFlipAug':
            transforms += _test_aug(section)
        else:
            transforms += keep_if_built(kind, section)
    return transforms


def _choice(section: Section) -> dict[str, Any]:
    ways = [
        _converted(section.sections(f'policies[{i}]', policy))
        for i, policy in enumerate(section.take('policies'))
    ]
    return dict(type='RandomChoice', transforms=ways)


def _test_aug(section: Section) -> Transforms:
    """Unfold the transforms; 3.x augments at test time in ``tta_model``."""
    scales, factors = section.take('img_scale'), section.take('scale_factor')
    scales = scales if isinstance(scales, list) else [scales]
    if len(scales) > 1 or factors is not None:
        given = scales if factors is None else factors
        used = 'the original size' if factors else scales[0]
        section.note(
            'img_scale',
            f'{given}: test-time augmentation is left out, {used} is used; '
            f'see DetTTAModel of mmdet 3.x',
        )
    directions = section.take('flip_direction')
    if section.take('flip', False):
        section.note(
            'flip',
            f'flipped test images ({directions or "horizontal"}) are left '
            f'out; see DetTTAModel of mmdet 3.x',
        )
    inner = section.sections('transforms')
    for one in inner:
        if one.values['type'] == 'RandomFlip':
            one.take_all()
        elif one.values['type'] == 'Resize' and scales[0]:
            one.values.setdefault('img_scale', scales[0])
    return _converted([one for one in inner if one.values])
