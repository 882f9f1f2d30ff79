"""Single transforms of mmdet 2.x, one function for each that changed.

Normalising and padding belong to the data preprocessor of the model in 3.x,
the scale of semantic maps to their head.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mmdet.registry import TRANSFORMS
from mmengine.registry import DefaultScope

from ..messages import one_line
from .section import Section


@dataclass
class Moved:
    """What 3.x has outside the pipelines."""

    normalize: dict[str, Any] | None = None
    pad_size_divisor: int = 1
    with_mask: bool = False
    with_seg: bool = False
    seg_scale: float | None = None

    def preprocessor(self) -> dict[str, Any]:
        """Give the data preprocessor's config."""
        preprocessor = dict(
            type='DetDataPreprocessor',
            **(self.normalize or {}),
            pad_size_divisor=self.pad_size_divisor,
        )
        if self.with_mask:
            preprocessor['pad_mask'] = True
        if self.with_seg:
            # Deviation: semantic maps of HTC.  As in 2.x, though 0 is a class.
            preprocessor.update(pad_seg=True, seg_pad_value=0)
        return preprocessor


def _load_image(section: Section, moved: Moved) -> list[dict[str, Any]]:
    kept = section.keep('to_float32', 'color_type')
    return [dict(type='LoadImageFromFile', **kept, **storage(section))]


def storage(section: Section) -> dict[str, Any]:
    """Take the file client; the local disk is 3.x's default."""
    client = section.take('file_client_args')
    if not client or client.get('backend') == 'disk':
        return {}
    return dict(backend_args=dict(client))


def _load_annotations(section: Section, moved: Moved) -> list[dict[str, Any]]:
    kept = section.keep(
        'with_bbox', 'with_label', 'with_mask', 'with_seg', 'poly2mask'
    )
    moved.with_mask |= bool(kept.get('with_mask'))
    moved.with_seg |= bool(kept.get('with_seg'))
    return [dict(type='LoadAnnotations', **kept, **storage(section))]


def _resize(section: Section, moved: Moved) -> list[dict[str, Any]]:
    scales = section.take('img_scale')
    mode = section.take('multiscale_mode', 'range')
    ratios = section.take('ratio_range')
    section.take('override')  # 3.x resizes again without being told
    kept = dict(keep_ratio=section.take('keep_ratio', True))
    kept |= section.keep('interpolation', 'backend')
    kept |= section.rename(dict(bbox_clip_border='clip_object_border'))
    if scales is None:
        factor = section.take('scale_factor')
        if factor is None:
            section.note('img_scale', 'none given: this Resize is left out')
            return []
        return [dict(type='Resize', scale_factor=factor, **kept)]
    scales = scales if isinstance(scales, list) else [scales]
    scales = [tuple(scale) for scale in scales]
    if ratios is not None:
        return [
            dict(
                type='RandomResize',
                scale=scales[0],
                ratio_range=tuple(ratios),
                **kept,
            )
        ]
    if len(scales) == 1:
        return [dict(type='Resize', scale=scales[0], **kept)]
    if mode == 'value':
        return [dict(type='RandomChoiceResize', scales=scales, **kept)]
    # 2.x drew the long edge from the larger numbers.
    scales = [(max(scale), min(scale)) for scale in scales]
    return [dict(type='RandomResize', scale=scales, **kept)]


def _flip(section: Section, moved: Moved) -> list[dict[str, Any]]:
    kept = section.rename(dict(flip_ratio='prob', direction='direction'))
    if kept.get('prob') is None:
        return []  # in a test pipeline, told by MultiScaleFlipAug
    return [dict(type='RandomFlip', **kept)]


def _crop(section: Section, moved: Moved) -> list[dict[str, Any]]:
    kept = dict(section.values)
    section.values = {}
    if kept.get('crop_type', 'absolute') in ('absolute', 'relative'):
        kept['crop_size'] = tuple(kept['crop_size'])[::-1]  # (w, h) in 3.x
    return [dict(type='RandomCrop', **kept)]


def _normalize(section: Section, moved: Moved) -> list[dict[str, Any]]:
    found = dict(
        mean=list(section.take('mean')),
        std=list(section.take('std')),
        bgr_to_rgb=section.take('to_rgb', True),
    )
    if moved.normalize not in (None, found):
        section.note(
            'mean', f'{found} is left out: the model has {moved.normalize}'
        )
    moved.normalize = moved.normalize or found
    return []


def _pad(section: Section, moved: Moved) -> list[dict[str, Any]]:
    divisor = section.take('size_divisor')
    if divisor is not None:
        moved.pad_size_divisor = max(divisor, moved.pad_size_divisor)
        if section.values.get('pad_val') == 0:
            section.take('pad_val')
        return []
    kept = section.keep('size', 'pad_to_square', 'pad_val')
    if kept.get('size') is not None:
        kept['size'] = tuple(kept['size'])[::-1]  # (w, h) in 3.x
    return [dict(type='Pad', **kept)]


def _seg_rescale(section: Section, moved: Moved) -> list[dict[str, Any]]:
    moved.seg_scale = section.take('scale_factor', 1)
    section.take('backend')
    return []


def keep_if_built(kind: str, section: Section) -> list[dict[str, Any]]:
    """Keep a transform that 3.x builds from the same arguments."""
    cfg = dict(type=kind, **section.values)
    section.values = {}
    try:
        with DefaultScope.overwrite_default_scope('mmdet'):
            TRANSFORMS.build(dict(cfg))
    except Exception as error:  # whatever its constructor raises
        section.report.append(
            f'{section.place}: left out: {one_line(error, 90)}'
        )
        return []
    if kind not in SAME:
        section.report.append(
            f'{section.place}: kept as it is; compare its arguments with '
            f'those of mmdet 3.x'
        )
    return [cfg]


# Same arguments, same meaning.
SAME = ('CutOut', 'Expand', 'MinIoURandomCrop', 'PhotoMetricDistortion')

TRANSFORMED: dict[str, Callable[[Section, Moved], list[dict[str, Any]]]] = {
    'LoadImageFromFile': _load_image,
    'LoadAnnotations': _load_annotations,
    'Resize': _resize,
    'RandomFlip': _flip,
    'RandomCrop': _crop,
    'Normalize': _normalize,
    'Pad': _pad,
    'SegRescale': _seg_rescale,
}
