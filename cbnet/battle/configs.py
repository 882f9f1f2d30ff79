"""The configs of a battle: equal for all entries, except for the model."""

from copy import deepcopy
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

from mmengine.config import Config, ConfigDict

from ..config_files import find_config, read_config
from ..datasets.retarget import retarget
from ..datasets.walking import walk_dicts
from ..engine.batch import accumulate_gradients
from ..engine.mixed_precision import want_mixed_precision
from ..errors import UserValueError
from ..messages import listed
from ..models.building import build_without_weights
from ..studies.schedule import count_in_steps
from .changes import change
from .data import BattleData
from .entries import Entry
from .heads import HEADS, fitted_model
from .members import build_backbone

_WIDTH, _HEIGHT = 1333, 800  # of the images of the protocols


@dataclass(frozen=True)
class Protocol:
    """What all entries share.

    Attributes:
        config: the config with the data, the optimizer and the runtime.
        head: the detector, a key of ``HEADS``.
        lrs: the learning rates to choose from.
        budget: how long each entry is trained.
        drop: whether the rate drops in steps, see ``count_in_steps``.
    """

    config: str
    head: str
    lrs: tuple[float, ...]
    budget: str
    drop: bool = False


PROTOCOLS = {
    'plain': Protocol(
        'cbnet::battle/plain.py', 'mask-rcnn', (1e-4, 3e-4), '1x'
    ),
    'study': Protocol(
        'cbnet::battle/study.py',
        'cascade-mask-rcnn',
        (8e-5, 1e-4, 2e-4, 3e-4),
        '3x',
        drop=True,
    ),
}


@dataclass(frozen=True)
class Settings:
    """The protocol of a battle, with the user's changes.

    Attributes:
        protocol: a key of ``PROTOCOLS``.
        head: a key of ``HEADS``.
        scale: the (width, height) of the images, instead of the protocol's.
        batch_size: the images of a step.
        accumulate: the batches of a step of the optimizer.
        workers: the processes that load images; None: the protocol's.
        amp: whether to train in mixed precision, even if the protocol
            does not.
        warm_up: the share of the steps in which the learning rate rises;
            None: the protocol's.
    """

    protocol: str
    head: str
    scale: tuple[int, int] | None = None
    batch_size: int = 2
    accumulate: int = 1
    workers: int | None = None
    amp: bool = False
    warm_up: float | None = None


def image_shape(cfg: Config, settings: Settings) -> tuple[int, int]:
    """Give the (H, W) of a usual image as an entry's model sees it, padded."""
    stride = cfg.model.data_preprocessor.pad_size_divisor
    width, height = (
        stride * ceil(side / stride)
        for side in settings.scale or (_WIDTH, _HEIGHT)
    )
    return height, width


def entry_config(entry: Entry, settings: Settings) -> Config:
    """Make the config of an entry, without data and without a schedule.

    Raises:
        ValueError: a member is unknown, the members do not fit together, or
            the detector cannot read their maps.
    """
    protocol = PROTOCOLS[settings.protocol]
    cfg = read_config(find_config(protocol.config), protocol.config)
    cfg.model = entry_model(entry, settings.head)
    masks = HEADS[settings.head].masks
    for name in ('train', 'val', 'test'):
        loader = cfg[f'{name}_dataloader']
        _set_loader(loader, settings, masks)
        if name == 'train':
            loader.batch_size = settings.batch_size
        else:
            cfg[f'{name}_evaluator'].metric = ['bbox', 'segm'][: 1 + masks]
    if settings.accumulate > 1:
        accumulate_gradients(cfg, settings.accumulate)
    if settings.amp:  # each training takes what its own device can run
        want_mixed_precision(cfg)
    _train_random_members(cfg, entry)
    change(cfg, entry)
    return cfg


def _train_random_members(cfg: Config, entry: Entry) -> None:
    """Let members with random weights learn at the rate of what is new.

    The protocol may lower the rate of the backbone, for pretrained weights.
    """
    rates = cfg.optim_wrapper.paramwise_cfg.get('custom_keys', {})
    if 'backbone' in rates:
        for number, member in enumerate(entry.members):
            if member.start == 'random':
                # mmengine looks for keys anywhere in a name, the longest
                # first; with the dot at its end, member 1 is not member 10.
                rates[f'backbone.members.{number}.'] = dict(lr_mult=1.0)


def entry_model(entry: Entry, head: str) -> ConfigDict:
    """Make the config of the model of an entry, and build it as a check.

    Raises:
        ValueError: see ``entry_config``.
    """
    title = entry.title
    built = build_backbone(entry)
    model = fitted_model(head, built.lead.specs, title)
    model.backbone = ConfigDict(built.cfg | model.backbone)
    model.data_preprocessor.update(built.preprocessor)
    if entry.composite:
        options = entry.options
        assistance = dict(
            weights=options.assistance, proposals=options.proposals
        )
        model.base, model.type = model.type, 'AssistedDetector'
        model.assistance = {
            k: v for k, v in assistance.items() if v is not None
        }
    try:
        build_without_weights(Config(dict(model=model)))
    except ValueError as error:
        raise UserValueError(f'{title}: {error}') from error
    return model


def _set_loader(loader: ConfigDict, settings: Settings, masks: bool) -> None:
    for part in walk_dicts(loader.dataset.pipeline):
        if 'with_mask' in part:
            part['with_mask'] = masks
        if settings.scale:
            _rescale(part, settings.scale)
    if settings.workers is not None:
        loader.num_workers = settings.workers
        loader.persistent_workers = settings.workers > 0


def _rescale(part: dict[str, Any], scale: tuple[int, int]) -> None:
    """Resize all sizes of a transform by the same factors."""
    factors = scale[0] / _WIDTH, scale[1] / _HEIGHT
    if part.get('crop_type') == 'absolute_range':
        # The least and the greatest side, whichever of the two it is.
        factors = (sqrt(factors[0] * factors[1]),) * 2
    for key in ('scale', 'scales', 'crop_size'):
        if key in part:
            part[key] = _times(part[key], factors)


def _times(size: Any, factors: tuple[float, float]) -> Any:
    if isinstance(size[0], list | tuple):
        return [_times(one, factors) for one in size]
    return tuple(
        max(round(side * factor), 1)
        for side, factor in zip(size, factors, strict=True)
    )


def on_data(
    cfg: Config, data: BattleData, role: str, steps: int, settings: Settings
) -> Config:
    """Give the config of an entry its data and its schedule.

    Args:
        cfg: what ``entry_config`` gives; it stays as it is.
        data: the data set.
        role: the split that ``cbnet test`` evaluates.
        steps: the number of steps.
        settings: the protocol.

    Raises:
        ValueError: the data lack what the detector learns.
    """
    cfg = deepcopy(cfg)
    cfg.work_dir = ''  # the splits are written as mmdet reads them
    boxes = [name for name, head in HEADS.items() if not head.masks]
    retarget(cfg, data.pair(role), f'with --head, one of {listed(boxes)}')
    cfg.pop('work_dir')
    drop = PROTOCOLS[settings.protocol].drop
    count_in_steps(cfg, steps, drop, settings.warm_up)
    return cfg
