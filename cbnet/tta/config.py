"""Put test-time augmentation into a config, for testing and inference."""

import copy
import math
from collections.abc import Sequence
from typing import Any

from mmengine.config import Config, ConfigDict

from ..datasets.walking import walk_datasets
from ..errors import UserValueError
from ..type_names import type_name


def add_tta(
    cfg: Config, scales: Sequence[tuple[int, int]] | None = None
) -> int:
    """Wrap the model of a config and give its test data several views.

    The views are those of ``scales``, else those of ``tta_pipeline`` in the
    config, else the scale of the test pipeline.  Every scale is used plain
    and flipped, unless ``tta_pipeline`` says otherwise.  The model is wrapped
    in ``tta_model`` of the config, by default in ``MaskTTAModel``.

    Args:
        cfg: any mmdet config, changed in place.
        scales: the (width, height) for the ``Resize`` of the test pipeline.

    Returns:
        The number of views of an image.

    Raises:
        ValueError: if the views cannot be made from the test pipeline.
    """
    written = None if scales else cfg.get('tta_pipeline')
    count = 0
    for dataset in walk_datasets(cfg.test_dataloader.dataset):
        if 'pipeline' in dataset:
            dataset.pipeline = copy.deepcopy(written) or _augmented(
                dataset.pipeline, scales
            )
            count = _count(dataset.pipeline)
    if not count:
        raise UserValueError(
            'test-time augmentation: tta_pipeline has no TestTimeAug'
            if written
            else 'test-time augmentation needs the pipeline of the test data '
            'set, test_dataloader.dataset.pipeline, but there is none'
        )
    wrapper = cfg.get('tta_model') or dict(type='MaskTTAModel')
    cfg.model = ConfigDict(**wrapper, module=cfg.model)
    return count


def _augmented(
    pipeline: Sequence[dict[str, Any]],
    scales: Sequence[tuple[int, int]] | None,
) -> list[dict[str, Any]]:
    """Apply the steps of a pipeline from its Resize on to every view."""
    steps = copy.deepcopy(list(pipeline))
    names = [*map(type_name, steps)]
    if names.count('Resize') != 1:
        raise UserValueError(
            f'test-time augmentation makes its views with the one Resize of '
            f'the test pipeline, which has {names.count("Resize")}; write '
            f'tta_pipeline and tta_model into the config, as '
            f'configs/_base_/tta_4scales.py does'
        )
    place = names.index('Resize')
    resize, after = steps[place], steps[place + 1 :]
    for step in after:
        if 'meta_keys' in step:
            keys = (*step['meta_keys'], 'flip', 'flip_direction')
            step['meta_keys'] = tuple(dict.fromkeys(keys))
    resizes = [{**resize, 'scale': tuple(scale)} for scale in scales or ()]
    flips = [dict(type='RandomFlip', prob=prob) for prob in (0.0, 1.0)]
    views = [resizes or [resize], flips, *([step] for step in after)]
    return [*steps[:place], dict(type='TestTimeAug', transforms=views)]


def _count(pipeline: Sequence[dict[str, Any]]) -> int:
    """Count the views that a pipeline makes; 0 without a TestTimeAug."""
    for step in pipeline:
        if type_name(step) == 'TestTimeAug':
            return math.prod(map(len, step['transforms']))
    return 0
