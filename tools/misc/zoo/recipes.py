"""Read the training recipe of a config."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from cbnet.errors import UserValueError


@dataclass(frozen=True)
class Recipe:
    """The training recipe of a config.

    Attributes:
        members: the number of members of the composite.
        batch: the number of images in a step of the optimizer, over all
            GPUs; the learning rate is meant for it (``--auto-scale-lr``).
        images: the number of images on each GPU.
        optimizer: the name of the optimizer.
        rate: the learning rate.
        mixed: whether training uses mixed precision.
        length: the number of epochs or steps.
        by_epoch: whether ``length`` counts epochs.
        train_size: the long x short sides in pixels, ``1600 x 400-1400``.
        test_size: the same in evaluation.
    """

    members: int
    batch: int
    images: int
    optimizer: str
    rate: float
    mixed: bool
    length: int
    by_epoch: bool
    train_size: str
    test_size: str

    @property
    def gpus(self) -> int:
        """The number of GPUs that the batch is spread over."""
        return self.batch // self.images


def read_recipe(path: str | os.PathLike) -> Recipe:
    """Read a config's recipe.

    Raises:
        ValueError: the config has no base batch size, or one that is not a
            multiple of the images on a GPU.
    """
    cfg = Config.fromfile(path, import_custom_modules=False)
    images = cfg.train_dataloader.batch_size
    batch = cfg.get('auto_scale_lr', {}).get('base_batch_size')
    if not batch or batch % images:
        raise UserValueError(
            f'{path}: auto_scale_lr.base_batch_size is {batch}, expected a '
            f'multiple of train_dataloader.batch_size, {images}'
        )
    wrapper, backbone = cfg.optim_wrapper, cfg.model.backbone
    several = isinstance(backbone.member, list)
    epochs = cfg.train_cfg.get('max_epochs')
    return Recipe(
        members=len(backbone.member) if several else backbone.num_members,
        batch=batch,
        images=images,
        optimizer=wrapper.optimizer.type,
        rate=wrapper.optimizer.lr,
        mixed=wrapper.get('type') == 'AmpOptimWrapper',
        length=epochs or cfg.train_cfg.max_iters,
        by_epoch=bool(epochs),
        train_size=_sizes(_pipeline(cfg.train_dataloader.dataset)),
        test_size=_sizes(_pipeline(cfg.test_dataloader.dataset)),
    )


def _pipeline(dataset: dict[str, Any]) -> list[dict[str, Any]]:
    while 'pipeline' not in dataset:
        dataset = dataset['dataset']
    return dataset['pipeline']


def _sizes(pipeline: list[dict[str, Any]]) -> str:
    """Return the range of image sizes that a pipeline produces."""
    scales = [scale for branch in _branches(pipeline) for scale in branch]
    sides = [sorted({side(scale) for scale in scales}) for side in (max, min)]
    return ' x '.join(
        f'{of[0]}-{of[-1]}' if len(of) > 1 else str(of[0]) for of in sides
    )


def _branches(pipeline: list[dict[str, Any]]) -> Iterator[list[tuple]]:
    """Yield the scales of the last resize in each branch of a pipeline."""
    last = None
    for step in pipeline:
        name = step['type'].rpartition('.')[2]
        if name == 'RandomChoice':
            last = [s for way in step['transforms'] for s in _branches(way)]
        elif name in ('Resize', 'RandomResize', 'RandomChoiceResize'):
            given = step.get('scales', step.get('scale'))
            one = isinstance(given[0], int)
            last = [[given] if one else list(given)]
    yield from last or []
