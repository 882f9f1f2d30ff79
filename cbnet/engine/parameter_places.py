"""Find where in a model of members a parameter lies."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import nn

from ..errors import UserValueError
from ..models.backbones import CompositeBackbone
from ..models.members import MemberAdapter, adapt, served_backbones
from .member_layers import member_depths


class Place(NamedTuple):
    """Where a parameter lies.

    Args:
        part: how logs call the part of the model.
        depth: layers from the member's top; 0: above all of them.
        lr_mult: factor of the learning rate, layer decay included.
    """

    part: str
    depth: int = 0
    lr_mult: float = 1.0


def find_places(
    model: nn.Module, settings: Mapping[str, Any]
) -> dict[str, Place]:
    """Find where the parameters of members and connections lie.

    Args:
        model: a detector, or a backbone.
        settings: ``layer_decay``, ``layers`` and the factors of parts.

    Returns:
        By name in the model; everything else is not in it.

    Raises:
        ValueError: where there is no member.
        TypeError: where no adapter serves a backbone.
    """
    places: dict[str, Place] = {}
    composites = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, CompositeBackbone)
    ]
    for prefix, composite in composites:
        for name, _ in composite.connections.named_parameters():
            places[_join(prefix, f'connections.{name}')] = Place(
                'connections', 0, settings['connections_lr_mult']
            )
        last = composite.num_members - 1
        for k, adapter in enumerate(composite.adapters):
            part = 'assistants' if k < last else 'lead'
            inside = _join(prefix, f'members.{k}')
            _add_member(places, inside, f'member {k}', part, adapter, settings)
    if not composites:
        for name, module in model.named_modules():
            if isinstance(module, served_backbones()):
                adapter = adapt(module)
                _add_member(
                    places, name, name or 'member', 'lead', adapter, settings
                )
    if not places:
        served = ', '.join(sorted(c.__name__ for c in served_backbones()))
        raise UserValueError(
            f'MemberLayerDecayConstructor: {type(model).__name__} has '
            f'neither a CompositeBackbone nor a backbone that could be a '
            f'member ({served}); use another optim_wrapper.constructor'
        )
    return places


def _add_member(
    places: dict[str, Place],
    prefix: str,
    label: str,
    part: str,
    adapter: MemberAdapter,
    settings: Mapping[str, Any],
) -> None:
    depths = member_depths(adapter, settings['layers'])
    for name, _ in adapter.backbone.named_parameters():
        depth = depths.get(name, 0)
        factor = settings[f'{part}_lr_mult'] * settings['layer_decay'] ** depth
        places[_join(prefix, name)] = Place(label, depth, factor)


def _join(prefix: str, name: str) -> str:
    return f'{prefix}.{name}' if prefix else name
