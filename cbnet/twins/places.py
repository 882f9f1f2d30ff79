"""Where a config has the detector whose backbone becomes composite."""

from collections.abc import Iterator
from functools import reduce
from operator import getitem
from typing import Any

from mmengine.config import Config, ConfigDict

from ..errors import UserValueError
from ..messages import did_you_mean, listed
from ..models.backbones import CompositeBackbone
from ..type_names import type_name


def find_detector(plain: Config, name: str, at: str | None = None) -> str:
    """Find a detector with a backbone of its own in a config.

    Args:
        plain: the config.
        name: the name of the config, for errors.
        at: where it must be, such as ``model.detector``; None: the model
            itself, or else the ``detector`` inside it (SoftTeacher and
            trackers have one), or else the only one.

    Raises:
        ValueError: there is none, there are several, or it is composite.
    """
    model = plain.get('model')
    if not isinstance(model, dict) or 'type' not in model:
        raise UserValueError(
            f'{name} has no model; give the config of a detector'
        )
    places = dict(_backbones(model, 'model'))
    for place, backbone in places.items():
        kind = type_name(backbone)
        if kind == CompositeBackbone.__name__:
            raise UserValueError(
                f'{name} is composite already: {place} is a {kind}; inherit '
                f'from it and change num_members, style or shared_stages there'
            )
    found = [place.rpartition('.')[0] for place in places]
    likely = ['model', 'model.detector', *found[: len(found) == 1]]
    chosen = next((one for one in likely if one in found), None)
    if at is not None:
        chosen = at if at in found else None
    if chosen is None:
        wanted = at or 'model'
        others = f' (found {listed(places)})' if places else ''
        advice = 'only the backbone of a detector can be made composite'
        if at is None and found:
            advice = f'name the detector with --at, such as --at {found[0]}'
        similar = did_you_mean(wanted, found) if wanted != 'model' else ''
        raise UserValueError(
            f'{name}: {model.type} has no {wanted}.backbone{others}; '
            f'{advice}{similar}'
        )
    if 'type' not in config_at(plain, chosen):
        raise UserValueError(
            f'{name}: {chosen} has a backbone, but no type; only the '
            f'backbone of a detector can be made composite'
        )
    return chosen


def config_at(cfg: Config, place: str) -> ConfigDict:
    """Return the part of a config at a place like ``model.detector``."""
    return reduce(getitem, place.split('.'), cfg)


def _backbones(value: Any, place: str) -> Iterator[tuple[str, dict]]:
    """Yield the place and the config of each backbone in a model config.

    A config that inherits from this one cannot replace an item of a list.
    """
    for key, part in value.items():
        if isinstance(part, dict):
            if key == 'backbone':
                yield f'{place}.{key}', part
            yield from _backbones(part, f'{place}.{key}')
