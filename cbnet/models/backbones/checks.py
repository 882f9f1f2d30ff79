"""What a composite refuses: arguments and members that do not fit."""

from collections.abc import Sequence
from typing import Any

from ...errors import UserValueError
from ..members.base import MemberAdapter
from .connections import Connection


def member_configs(
    member: dict[str, Any] | Sequence[dict[str, Any]], num_members: int
) -> list[dict[str, Any]]:
    """Give the config of each member; refuse what is none."""
    if not isinstance(num_members, int) or num_members < 1:
        raise UserValueError(
            f'num_members={num_members!r}; expected a whole number from 1'
        )
    if isinstance(member, dict):
        return [member] * num_members
    if isinstance(member, str) or not isinstance(member, Sequence):
        raise UserValueError(
            f'member={member!r}; expected the config of a backbone, '
            f"dict(type='ResNet', ...), or a list of them, one per member"
        )
    if len(member) != num_members:
        raise UserValueError(
            f'member lists {len(member)} configs, num_members={num_members};'
            f' give one config for all, or one for each'
        )
    return list(member)


def check_fit(
    adapters: Sequence[MemberAdapter], shared_stages: int | None
) -> None:
    """Refuse members that cannot be joined or cannot share."""
    lead, num_stages = adapters[-1], len(adapters[0].specs)
    if shared_stages is not None and (
        not isinstance(shared_stages, int)
        or not 0 <= shared_stages <= num_stages
    ):
        raise UserValueError(
            f'shared_stages={shared_stages!r}; these members have '
            f'{num_stages} stages, so give 0 (the stem alone) to '
            f'{num_stages}, or None (every member has its own stem)'
        )
    for k, adapter in enumerate(adapters):
        if len(adapter.specs) != num_stages:
            raise UserValueError(
                f'member {k} has {len(adapter.specs)} stages, member 0 has '
                f'{num_stages}; members must have equally many'
            )
        if adapter.out_indices != lead.out_indices:
            raise UserValueError(
                f'member {k} has out_indices={adapter.out_indices}, the lead '
                f'has {lead.out_indices}; one neck serves all members, so '
                f'they must be equal'
            )
        if shared_stages is None:
            continue
        for i in range(min(shared_stages + 1, num_stages)):
            first, other = adapters[0].specs[i], adapter.specs[i]
            inputs = [(s.in_channels, s.in_stride) for s in (first, other)]
            if inputs[0] != inputs[1]:
                raise UserValueError(
                    f'member {k} cannot share with member 0 '
                    f'(shared_stages={shared_stages}): the input of stage '
                    f'{i} has {inputs[0][0]} channels at stride '
                    f'{inputs[0][1]} in member 0, {inputs[1][0]} at stride '
                    f'{inputs[1][1]} in member {k}; use shared_stages=None, '
                    f'or members of one kind'
                )


def settle_out_indices(
    adapters: Sequence[MemberAdapter], chosen: Sequence[int] | None
) -> tuple[int, ...]:
    """Settle which stages the composite returns."""
    if chosen is None:
        return adapters[-1].out_indices
    there = adapters[-1].emittable
    if not isinstance(chosen, Sequence) or not set(chosen) <= set(there):
        raise UserValueError(
            f'out_indices={chosen!r}; these members can return the stages '
            f'{list(there)}'
        )
    return tuple(chosen)


def check_normed_sources(
    adapters: Sequence[MemberAdapter], connections: Sequence[Connection]
) -> None:
    """Refuse connections that read normed maps of stages without a norm."""
    for k, (adapter, connection) in enumerate(
        zip(adapters, connections, strict=False)
    ):
        lacking = sorted(connection.normed_sources - set(adapter.emittable))
        if lacking:
            every = tuple(range(len(adapter.specs)))
            raise UserValueError(
                f'member {k} has out_indices={adapter.out_indices} and so no '
                f'norm for stage {lacking[0]}, whose normed output '
                f'connection {k} reads; give the members '
                f'out_indices={every} and the composite '
                f'out_indices={adapter.out_indices}'
            )
