"""Record what the members of a composite compute and what connections add."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models.backbones import CompositeBackbone
from ..models.backbones.connections import STEM, Connection, Edge
from ..models.members.base import MemberAdapter


@dataclass
class FeatureMap:
    """One map of one image, averaged over its channels.

    Attributes:
        values: the mean absolute activation over the channels, (H, W).
        channels: the number of channels.
        stride: the input pixels per position.
    """

    values: np.ndarray
    channels: int
    stride: int


@dataclass
class Added:
    """What a connection adds to one stage input of its target member.

    Attributes:
        map: the sum over the edges.
        edges: the (source, target) stages; source -1 is the stem.
        strength: the Euclidean norm of the sum, divided by that of the stage
            input to which it is added.
    """

    map: FeatureMap
    edges: list[Edge]
    strength: float


@dataclass
class MemberMaps:
    """What one member computed.

    Attributes:
        backbone: the class name of the member.
        outputs: the output of each stage, and of the stem as -1; a member
            has no entry for the stages that it shares.
        added: what the member before adds to the input of each stage.
    """

    backbone: str
    outputs: dict[int, FeatureMap] = field(default_factory=dict)
    added: dict[int, Added] = field(default_factory=dict)


@torch.no_grad()
def connection_maps(
    composite: CompositeBackbone, image: Tensor
) -> list[MemberMaps]:
    """Run a composite on one image and record its maps.

    The composite is not changed, and stays in its mode.

    Args:
        composite: the composite, with any number of members and any style.
        image: the input of the backbone, (1, 3, H, W).

    Returns:
        One entry for each member; the lead is the last.
    """
    members = [MemberMaps(type(m).__name__) for m in composite.members]
    with _recorded(composite, members):
        # This runs the stages that no edge reads, too.
        composite(image, all_members=True)
    return members


@contextmanager
def _recorded(
    composite: CompositeBackbone, members: list[MemberMaps]
) -> Iterator[None]:
    """Record the calls of the connections, stems and stages."""
    sums: list[dict[int, Tensor]] = [{} for _ in members]
    hooks = [
        connection.register_forward_hook(partial(_keep, sums[k]))
        for k, connection in enumerate(composite.connections, start=1)
    ]
    for k, adapter in enumerate(composite.adapters):
        connection = composite.connections[k - 1] if k else None
        _cover(adapter, members[k], sums[k], connection)
    try:
        yield
    finally:
        for adapter in composite.adapters:
            del adapter.stem, adapter.run_stage
        for hook in hooks:
            hook.remove()


def _keep(
    sums: dict[int, Tensor],
    connection: Connection,
    arguments: tuple[Any, ...],
    added: Tensor | None,
) -> None:
    """Keep what a connection adds to a stage until that stage runs."""
    if added is not None:
        sums[arguments[1]] = added


def _cover(
    adapter: MemberAdapter,
    member: MemberMaps,
    sums: dict[int, Tensor],
    connection: Connection | None,
) -> None:
    """Cover an adapter's two methods by ones that record their calls."""
    stem, run_stage, specs = adapter.stem, adapter.run_stage, adapter.specs

    def recorded_stem(x: Tensor) -> Tensor:
        y = stem(x)
        member.outputs[STEM] = _feature_map(y, specs[0].in_stride)
        return y

    def recorded_stage(i: int, x: Tensor) -> Tensor:
        if i in sums:
            before = (x - sums[i]).norm()
            member.added[i] = Added(
                map=_feature_map(sums[i], specs[i].in_stride),
                edges=[(source, i) for source in connection.sources[i]],
                strength=float(sums[i].norm() / before) if before else 0.0,
            )
        y = run_stage(i, x)
        member.outputs[i] = _feature_map(y, specs[i].out_stride)
        return y

    adapter.stem, adapter.run_stage = recorded_stem, recorded_stage


def _feature_map(y: Tensor, stride: int) -> FeatureMap:
    values = y[0].abs().mean(0).float().cpu().numpy()
    return FeatureMap(values, y.shape[1], stride)
