"""Put test-time augmentation into a config, for testing and inference."""

import copy
import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from typing import Any

from mmengine.config import Config, ConfigDict

from ..datasets.walking import walk_datasets
from ..errors import UserValueError

_FLIP_KEYS = ('flip', 'flip_direction')


def add_tta_options(parser: ArgumentParser) -> None:
    """Add ``--tta`` and ``--tta-scales``; either asks for ``add_tta``."""
    parser.add_argument(
        '--tta',
        action='store_true',
        help='test-time augmentation: merge the views that tta_pipeline of '
        'the config makes; without one, the test scale plain and flipped',
    )
    parser.add_argument(
        '--tta-scales',
        nargs='+',
        type=_scale,
        metavar='W,H',
        help='test-time augmentation with these scales instead, each plain '
        'and flipped',
    )


def add_tta(
    cfg: Config, scales: Sequence[tuple[int, int]] | None = None
) -> int:
    """Wrap the model of a config, and give its test data several views.

    The views are those of ``scales``; else of ``tta_pipeline`` in the
    config; else the scale of the test pipeline.  But for ``tta_pipeline``,
    which says it itself, every scale comes plain and flipped.  The model is
    wrapped by ``tta_model`` of the config, by ``MaskTTAModel`` without one.

    Args:
        cfg: any mmdet config, changed in place.
        scales: (width, height) for the ``Resize`` of the test pipeline.

    Returns:
        The number of views of an image.

    Raises:
        ValueError: the views cannot be made from the test pipeline.
    """
    written = None if scales else cfg.get('tta_pipeline')
    count = 0
    for dataset in walk_datasets(cfg.test_dataloader.dataset):
        if 'pipeline' in dataset:
            dataset.pipeline = (
                copy.deepcopy(written)
                if written
                else _augmented(dataset.pipeline, scales)
            )
            count = _count(dataset.pipeline)
    if not count:
        raise UserValueError(
            'test-time augmentation: tta_pipeline has no TestTimeAug'
            if written
            else 'test-time augmentation needs the pipeline of the test data '
            'set, test_dataloader.dataset.pipeline, and finds none'
        )
    wrapper = cfg.get('tta_model') or dict(type='MaskTTAModel')
    cfg.model = ConfigDict(**wrapper, module=cfg.model)
    return count


def _augmented(
    pipeline: Sequence[dict[str, Any]],
    scales: Sequence[tuple[int, int]] | None,
) -> list[dict[str, Any]]:
    """Give the steps of a pipeline from its Resize on to every view."""
    steps = copy.deepcopy(list(pipeline))
    places = [i for i, step in enumerate(steps) if _name(step) == 'Resize']
    if len(places) != 1:
        raise UserValueError(
            f'test-time augmentation makes its views from the one Resize of '
            f'the test pipeline, which has {len(places)}: write tta_pipeline '
            f'and tta_model into the config, as '
            f'configs/_base_/tta_4scales.py does'
        )
    before, resize, after = (
        steps[: places[0]],
        steps[places[0]],
        steps[places[0] + 1 :],
    )
    for step in after:
        if 'meta_keys' in step:
            step['meta_keys'] = (
                *step['meta_keys'],
                *(k for k in _FLIP_KEYS if k not in step['meta_keys']),
            )
    resizes = [{**resize, 'scale': tuple(scale)} for scale in scales or ()]
    flips = [dict(type='RandomFlip', prob=prob) for prob in (0.0, 1.0)]
    views = [resizes or [resize], flips, *([step] for step in after)]
    return [*before, dict(type='TestTimeAug', transforms=views)]


def _count(pipeline: Sequence[dict[str, Any]]) -> int:
    """Count the views of a pipeline; 0 without a TestTimeAug."""
    for step in pipeline:
        if _name(step) == 'TestTimeAug':
            count = 1
            for alternatives in step['transforms']:
                count *= len(alternatives)
            return count
    return 0


def _name(step: dict[str, Any]) -> str:
    kind = step['type']
    name = kind if isinstance(kind, str) else kind.__name__
    return name.rpartition('.')[2]


def _scale(text: str) -> tuple[int, int]:
    match = re.fullmatch(r'([1-9]\d*),([1-9]\d*)', text)
    if not match:
        raise ArgumentTypeError(
            f'{text!r} is no scale; give width,height in pixels, as 1600,1400'
        )
    return int(match[1]), int(match[2])
