"""What an entry of a YAML file may change of its config, with ``cfg:``."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

from ..arguments import explained
from ..errors import UserValueError
from ..messages import brief, listed
from ..models.building import build_without_weights
from .entries import Entry
from .optimizers import build_optimizer

#: the parts of a config that belong to an entry
_OWN = 'model', 'optim_wrapper'
# What each run sets after the changes.
_RATE = 'optim_wrapper.optimizer.lr'
_CLASSES = 'num_classes', 'num_things_classes'


def check_changes(changes: Mapping[str, Any]) -> None:
    """Refuse changes of what all entries share, such as the batch size.

    Raises:
        ValueError: says which key is no part of an entry, or has no effect.
    """
    for key in changes:
        if key.partition('.')[0] not in _OWN:
            raise UserValueError(
                f'cfg: {key} belongs to the protocol, which is the same for '
                f'all entries; expected keys below model. and optim_wrapper.'
            )
    for place in _places(changes):
        if place == _RATE:
            raise UserValueError(
                f'cfg: {place} has no effect, because each run takes its rate '
                f'from --lrs; give the rates with --lrs, or factors for parts '
                f'of the model with optim_wrapper.paramwise_cfg'
            )
        if place.split('.')[-1] in _CLASSES:
            raise UserValueError(
                f'cfg: {place} has no effect, because the number of classes '
                f'is that of each data set; leave it out'
            )


def _places(changes: Mapping[Any, Any], above: str = '') -> Iterator[str]:
    """Yield the place of each value, however its keys are nested."""
    for key, value in changes.items():
        place = f'{above}{key}'
        if isinstance(value, Mapping):
            yield from _places(value, f'{place}.')
        else:
            yield place


def change(cfg: Config, entry: Entry) -> None:
    """Change the config of an entry, and build its parts as a check.

    Raises:
        ValueError: names the entry and the keys with which it does not
            build.
    """
    if not entry.changes:
        return
    try:
        with explained('the config cannot be changed'):
            cfg.merge_from_dict(dict(entry.changes))
        model = build_without_weights(cfg)
        with explained('the optimizer cannot be built'):
            build_optimizer(model, cfg)
    except ValueError as error:
        raise UserValueError(
            f'{entry.title}: with cfg: {listed(described(entry.changes))}, it '
            f'does not build: {error}'
        ) from error


def described(changes: Mapping[str, Any]) -> list[str]:
    """Spell out changes, each as ``key=value``."""
    return [f'{key}={brief(value)}' for key, value in changes.items()]
