"""The arguments and members that a composite refuses."""

from collections.abc import Sequence
from dataclasses import astuple
from typing import Annotated, Any

from mmdet.registry import MODELS
from mmengine.config import Config
from torch import nn

from ...arguments import BuiltFrom
from ...errors import UserValueError
from ..members import STEM, Member, MemberAdapter, settings_of
from .connections import Connection

#: more members than these are a mistake, and would take all memory
MOST_MEMBERS = 32
_Backbone = Annotated[dict[str, Any], BuiltFrom(MODELS)]
#: what ``CompositeBackbone`` takes as ``member``
Members = Annotated[
    _Backbone | Sequence[_Backbone | nn.Module | Member],
    "the config of a backbone, dict(type='ResNet', ...), or a list with one "
    'config or built backbone per member',
]


def member_configs(
    member: Members, num_members: int
) -> list[dict[str, Any] | nn.Module | Member]:
    """List the config, or the built backbone, of each member."""
    if isinstance(member, dict | Config):
        return [member] * num_members
    if len(member) != num_members:
        raise UserValueError(
            f'member lists {len(member)} configs, num_members={num_members};'
            f' give one config for all members, or one for each'
        )
    bare = [m.backbone if isinstance(m, Member) else m for m in member]
    built = [cfg for cfg in bare if isinstance(cfg, nn.Module)]
    if len({*map(id, built)}) < len(built):
        raise UserValueError(
            'member lists one backbone object twice; build one per member'
        )
    return list(member)


def check_members(
    adapters: Sequence[MemberAdapter], shared_stages: int | None
) -> None:
    """Refuse members that cannot be joined or cannot share stages."""
    lead, num_stages = adapters[-1], len(adapters[0].specs)
    for k, adapter in enumerate(adapters):
        for i, spec in enumerate(adapter.specs):
            if not all(_is_whole(n) and n > 0 for n in astuple(spec)):
                raise UserValueError(
                    f'member {k}: stage {i} has {spec}; expected channels '
                    f'and strides that are whole numbers from 1'
                )
        if len(adapter.specs) != num_stages:
            raise UserValueError(
                f'member {k} has {len(adapter.specs)} stages, member 0 has '
                f'{num_stages}; all members need the same number of stages'
            )
        if not _are_stages(adapter.out_indices, range(num_stages)):
            raise UserValueError(
                f'member {k} has out_indices={adapter.out_indices}; expected '
                f'some of {list(range(num_stages))} in this order'
            )
        if adapter.out_indices != lead.out_indices:
            raise UserValueError(
                f'member {k} has out_indices={adapter.out_indices}, the lead '
                f'has {lead.out_indices}; they must be equal, because one '
                f'neck serves all members'
            )
    _check_settings(adapters, shared_stages)
    if shared_stages is None:
        return
    if shared_stages > num_stages:
        raise UserValueError(
            f'shared_stages={shared_stages}; these members have {num_stages} '
            f'stages, so give 0 (share the stem) to {num_stages}, or None '
            f'(every member has its own stem)'
        )
    for i in range(min(shared_stages + 1, num_stages)):
        needed = _input(adapters[0], i)
        for k, adapter in enumerate(adapters):
            if _input(adapter, i) != needed:
                raise UserValueError(
                    f'member {k} cannot share with member 0 '
                    f'(shared_stages={shared_stages}): the input of stage '
                    f'{i} has {needed} in member 0, {_input(adapter, i)} in '
                    f'member {k}; use shared_stages=None, or members of one '
                    f'kind'
                )


def _check_settings(
    adapters: Sequence[MemberAdapter], shared_stages: int | None
) -> None:
    """Refuse a lead of another size, and sharing among other images."""
    for k, adapter in enumerate(adapters):
        settings = settings_of(adapter)
        if settings is None:
            continue
        if settings.scale is not None and k == len(adapters) - 1:
            raise UserValueError(
                f'member {k} is the lead and has scale={settings.scale}; only '
                f'assistants can be scaled, because the necks and heads rely '
                f'on the strides of the lead'
            )
        if settings.cache is not None and k > 0:
            raise UserValueError(
                f'member {k} has a cache, but its maps depend on those of '
                f'member {k - 1}; only the first member can have one'
            )
        other = [
            f'{name}={value!r}'
            for name in ('scale', 'dtype', 'preprocess', 'cache')
            if (value := getattr(settings, name)) is not None
        ]
        if other and shared_stages is not None and len(adapters) > 1:
            raise UserValueError(
                f'member {k} has {other[0]}, so it cannot share stages with '
                f'the other members (shared_stages={shared_stages}); use '
                f'shared_stages=None'
            )


def _input(adapter: MemberAdapter, i: int) -> str:
    spec = adapter.specs[i]
    return f'{spec.in_channels} channels at stride {spec.in_stride}'


def settle_stages(
    adapters: Sequence[MemberAdapter], chosen: Sequence[int] | None
) -> tuple[int, ...]:
    """Settle which stages the composite returns."""
    if chosen is None:
        return adapters[-1].out_indices
    there = adapters[-1].emittable
    if not _are_stages(chosen, there):
        raise UserValueError(
            f'out_indices={chosen!r}; expected some of {list(there)} in this '
            f'order, the stages whose maps these members can return'
        )
    return tuple(chosen)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_stages(chosen: Any, there: Sequence[int]) -> bool:
    return (
        isinstance(chosen, Sequence)
        and len(chosen) > 0
        and all(map(_is_whole, chosen))
        and set(chosen) <= set(there)
        and list(chosen) == sorted(set(chosen))
    )


def check_sources(
    adapters: Sequence[MemberAdapter], connections: Sequence[Connection]
) -> None:
    """Refuse connections that read maps which a member does not have."""
    for k, connection in enumerate(connections):
        adapter = adapters[k]
        settings = settings_of(adapter)
        if settings and settings.cache and STEM in connection.read_stages:
            raise UserValueError(
                f'member {k} has a cache, which keeps the maps of stages, '
                f'and connection {k} reads the stem (style allc); choose '
                f'another style, or leave out the cache'
            )
        lacking = sorted(connection.normed_sources - set(adapter.emittable))
        if lacking:
            every = tuple(range(len(adapter.specs)))
            raise UserValueError(
                f'connection {k} reads the normed output of stage '
                f'{lacking[0]}, but member {k} has no norm for that stage '
                f'(out_indices={adapter.out_indices}); give the members '
                f'out_indices={every} and the composite '
                f'out_indices={adapter.out_indices}'
            )
