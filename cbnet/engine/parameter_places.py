"""Find which member each parameter belongs to, and how deep it lies there."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import accumulate
from typing import Any, Literal, NamedTuple

from torch import nn

from ..errors import UserValueError
from ..models.backbones import CompositeBackbone
from ..models.members import MemberAdapter, adapt, served_backbones

#: what counts as a layer
Layers = Literal['block', 'stage']
_CONTAINERS = (nn.Sequential, nn.ModuleList)


class Place(NamedTuple):
    """Where a parameter lies.

    Attributes:
        part: the name of the part of the model in logs.
        depth: the number of layers from the member's top; 0 is above them.
        lr_mult: the factor of the learning rate, layer decay included.
    """

    part: str
    depth: int = 0
    lr_mult: float = 1.0


def find_places(
    model: nn.Module, settings: Mapping[str, Any]
) -> dict[str, Place]:
    """Find the places of the parameters of members and connections, by name.

    Args:
        model: a detector or a backbone.
        settings: ``layer_decay``, ``layers`` and the factors of the parts.

    Raises:
        ValueError: if the model has no members.
    """
    places: dict[str, Place] = {}
    members: list[tuple[str, str, str, MemberAdapter]] = []
    for name, composite in _find(model, CompositeBackbone):
        for k, adapter in enumerate(composite.adapters):
            is_lead = k == composite.num_members - 1
            part = 'lead' if is_lead else 'assistants'
            members.append(
                (f'{name}.members.{k}', f'member {k}', part, adapter)
            )
        for parameter, _ in composite.connections.named_parameters():
            places[f'{name}.connections.{parameter}'] = Place(
                'connections', lr_mult=settings['connections_lr_mult']
            )
    if not members:
        for name, backbone in _find(model, served_backbones()):
            members.append((name, name or 'member', 'lead', adapt(backbone)))
    for name, label, part, adapter in members:
        depths = member_depths(adapter, settings['layers'])
        for parameter, _ in adapter.backbone.named_parameters():
            depth = depths.get(parameter, 0)
            decay = settings['layer_decay'] ** depth
            places[f'{name}.{parameter}'] = Place(
                label, depth, settings[f'{part}_lr_mult'] * decay
            )
    if not places:
        served = ', '.join(sorted(c.__name__ for c in served_backbones()))
        raise UserValueError(
            f'MemberLayerDecayConstructor: {type(model).__name__} has '
            f'neither a CompositeBackbone nor a backbone that could be a '
            f'member ({served}); use another optim_wrapper.constructor'
        )
    # The name of a model that is itself a backbone is empty.
    return {name.removeprefix('.'): place for name, place in places.items()}


def _find(
    model: nn.Module, kinds: type | tuple[type, ...]
) -> list[tuple[str, nn.Module]]:
    return [(n, m) for n, m in model.named_modules() if isinstance(m, kinds)]


def member_depths(
    adapter: MemberAdapter, layers: str = 'block'
) -> dict[str, int]:
    """Count the layers from the member's top down to each parameter.

    A stage consists of what the adapter's ``drop_stage`` removes, and the
    stem of what ``drop_stem`` removes, so this works for every family.  The
    blocks of a stage are the elements of its containers, or of its
    ``blocks``; other parts, such as patch merging, belong to the block beside
    them.

    Returns:
        The depths by parameter name: 1 for the last block or stage (as
        ``layers`` says), growing down to the stem.  A member that shares its
        first stages has the depths of a complete one.  Parameters outside the
        stem and the stages, such as those of output norms, are left out.
    """
    stem, *stages = _pieces(adapter)
    if layers == 'stage':
        stages = [[sum(blocks, [])] for blocks in stages if blocks]
    above = [block for blocks in stages for block in blocks]
    return {
        name: depth
        for depth, names in enumerate([*above[::-1], sum(stem, [])], start=1)
        for name in names
    }


def _pieces(adapter: MemberAdapter) -> Iterator[list[list[str]]]:
    """Yield the blocks of the stem, then of each stage, as parameter names."""
    adapter, backbone = copy.copy(adapter), adapter.backbone
    tensors = [*backbone.parameters(), *backbone.buffers()]
    shared = {id(tensor): tensor for tensor in tensors}
    adapter.backbone = copy.deepcopy(backbone, shared)
    stages = range(len(adapter.specs))
    drops = [partial(adapter.drop_stage, i) for i in stages]
    for drop in (adapter.drop_stem, *drops):
        names = dict(adapter.backbone.named_parameters())
        modules = dict(adapter.backbone.named_modules())
        drop()
        for name, _ in adapter.backbone.named_parameters():
            del names[name]
        left = dict(adapter.backbone.named_modules())
        dropped = {n: m for n, m in modules.items() if left.get(n) is not m}
        yield _blocks(names, dropped)


def _blocks(
    names: Iterable[str], dropped: Mapping[str, nn.Module]
) -> list[list[str]]:
    """Divide the parameters of a dropped stem or stage into blocks."""
    blocks: list[list[str]] = []
    current = None
    for name in names:
        block = _block_of(name, dropped)
        if not blocks or (current and block and block != current):
            blocks.append([])
        blocks[-1].append(name)
        current = block or current
    return blocks


def _block_of(name: str, dropped: Mapping[str, nn.Module]) -> str | None:
    """Name the module of a parameter's block, or None between blocks."""
    path = accumulate(name.split('.'), '{}.{}'.format)
    top, *below = [module for module in path if module in dropped] or ['']
    if isinstance(dropped.get(top), _CONTAINERS):
        return below[0]
    if isinstance(dropped.get(f'{top}.blocks'), _CONTAINERS):
        return below[1] if below[:1] == [f'{top}.blocks'] else None
    return top or None
