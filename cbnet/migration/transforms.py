"""Convert the transforms that changed since mmdet 2.x, one by one.

A function takes a transform's settings out of its section and returns the
transforms of mmdet 3.x that replace it. Settings that 3.x keeps in the model
go into the state of the migration.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from mmdet.registry import TRANSFORMS

from .section import Section

Transforms: TypeAlias = list[dict[str, Any]]

# transforms with arguments of the same names and meaning
SAME = ('CutOut', 'Expand', 'MinIoURandomCrop', 'PhotoMetricDistortion')


def storage(section: Section) -> dict[str, Any]:
    """Take the file client out; the local disk is the default of 3.x."""
    client = section.take('file_client_args')
    if not client or client.get('backend') == 'disk':
        return {}
    return dict(backend_args=dict(client))


def _load_image(section: Section) -> Transforms:
    kept = section.keep('to_float32', 'color_type')
    return [dict(type='LoadImageFromFile', **kept, **storage(section))]


def _load_annotations(section: Section) -> Transforms:
    kept = section.keep(
        'with_bbox', 'with_label', 'with_mask', 'with_seg', 'poly2mask'
    )
    section.state.with_mask |= bool(kept.get('with_mask'))
    section.state.with_seg |= bool(kept.get('with_seg'))
    return [dict(type='LoadAnnotations', **kept, **storage(section))]


def _resize(section: Section) -> Transforms:
    scales = section.take('img_scale')
    mode = section.take('multiscale_mode', 'range')
    ratios = section.take('ratio_range')
    section.drop('override')  # 3.x resizes again without being told
    kept = dict(keep_ratio=section.take('keep_ratio', True))
    kept |= section.keep(
        'interpolation', 'backend', bbox_clip_border='clip_object_border'
    )
    if scales is None:
        factor = section.take('scale_factor')
        if factor is None:
            section.note('img_scale', 'missing; this Resize is left out')
            return []
        return [dict(type='Resize', scale_factor=factor, **kept)]
    scales = scales if isinstance(scales, list) else [scales]
    scales = [tuple(scale) for scale in scales]
    if ratios is not None:
        new = dict(type='RandomResize', scale=scales[0])
        new['ratio_range'] = tuple(ratios)
    elif len(scales) == 1:
        new = dict(type='Resize', scale=scales[0])
    elif mode == 'value':
        new = dict(type='RandomChoiceResize', scales=scales)
    else:
        # mmdet 2.x drew the long side from the larger numbers.
        scales = [(max(scale), min(scale)) for scale in scales]
        new = dict(type='RandomResize', scale=scales)
    return [new | kept]


def _flip(section: Section) -> Transforms:
    kept = section.keep('direction', flip_ratio='prob')
    if kept.get('prob') is None:
        return []  # in a test pipeline, where MultiScaleFlipAug decides
    return [dict(type='RandomFlip', **kept)]


def _crop(section: Section) -> Transforms:
    kept = section.take_all()
    if kept.get('crop_type', 'absolute') in ('absolute', 'relative'):
        kept['crop_size'] = tuple(kept['crop_size'])[::-1]  # (w, h) in 3.x
    return [dict(type='RandomCrop', **kept)]


def _normalize(section: Section) -> Transforms:
    found = dict(
        mean=list(section.take('mean')),
        std=list(section.take('std')),
        bgr_to_rgb=section.take('to_rgb', True),
    )
    first = section.state.normalize = section.state.normalize or found
    if first != found:
        section.note('mean', f'{found} is left out; the model uses {first}')
    return []


def _pad(section: Section) -> Transforms:
    state, divisor = section.state, section.take('size_divisor')
    if divisor is not None:
        state.pad_size_divisor = max(divisor, state.pad_size_divisor)
        if section.values.get('pad_val') == 0:
            section.drop('pad_val')
        return []
    kept = section.keep('size', 'pad_to_square', 'pad_val')
    if kept.get('size') is not None:
        kept['size'] = tuple(kept['size'])[::-1]  # (w, h) in 3.x
    return [dict(type='Pad', **kept)]


def _seg_rescale(section: Section) -> Transforms:
    section.state.seg_scale = section.take('scale_factor', 1)
    section.drop('backend')
    return []


def keep_if_built(kind: str, section: Section) -> Transforms:
    """Keep a transform that 3.x builds from the same arguments."""
    cfg = dict(type=kind, **section.take_all())
    if not section.builds(TRANSFORMS, cfg):
        return []
    if kind not in SAME:
        section.report(
            f'{section.place}: kept unchanged; compare its arguments with '
            f'those of mmdet 3.x'
        )
    return [cfg]


TRANSFORMED: dict[str, Callable[[Section], Transforms]] = {
    'LoadImageFromFile': _load_image,
    'LoadAnnotations': _load_annotations,
    'Resize': _resize,
    'RandomFlip': _flip,
    'RandomCrop': _crop,
    'Normalize': _normalize,
    'Pad': _pad,
    'SegRescale': _seg_rescale,
}
