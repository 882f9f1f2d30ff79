"""What the members of a composite compute and what connections add."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models.backbones import CompositeBackbone
from ..models.backbones.connections import STEM, Edge
from ..models.members.base import MemberAdapter


@dataclass
class FeatureMap:
    """One map of one image, its channels averaged.

    Attributes:
        values: mean absolute activation over the channels, (H, W).
        channels: how many there were.
        stride: input pixels per position.
    """

    values: np.ndarray
    channels: int
    stride: int


@dataclass
class Added:
    """What a connection adds to one stage input of its target member.

    Attributes:
        map: the sum over the edges.
        edges: (source, target) stages; source -1 is the stem.
        strength: its Euclidean norm over that of the stage input it is
            added to.
    """

    map: FeatureMap
    edges: list[Edge]
    strength: float


@dataclass
class MemberMaps:
    """What one member computed.

    Attributes:
        backbone: the class of the member.
        outputs: stage -> its output, -1 the stem's; shared ones, which a
            member does not compute, are absent.
        added: stage -> what the member before it added to its input.
    """

    backbone: str
    outputs: dict[int, FeatureMap] = field(default_factory=dict)
    added: dict[int, Added] = field(default_factory=dict)


@torch.no_grad()
def connection_maps(
    composite: CompositeBackbone, image: Tensor
) -> list[MemberMaps]:
    """Run a composite on one image and keep what passes its seams.

    The composite stays as it is, and in the mode it is in.

    Args:
        composite: any number of members, any style.
        image: what the backbone is given, (1, 3, H, W).

    Returns:
        One entry a member, the lead's last.
    """
    members = [MemberMaps(type(m).__name__) for m in composite.members]
    hooks = [
        connection.register_forward_hook(partial(_keep_added, member))
        for connection, member in zip(
            composite.connections, members[1:], strict=True
        )
    ]
    try:
        with _recorded(composite, members):
            # All members: those stages too that no edge reads.
            composite(image, all_members=True)
    finally:
        for hook in hooks:
            hook.remove()
    for member, adapter in zip(members, composite.adapters, strict=True):
        member.outputs = {
            i: _feature_map(y, _stride(adapter, i))
            for i, y in member.outputs.items()
        }
        for i, (edges, added, total) in member.added.items():
            before = (total - added).norm()
            strength = float(added.norm() / before) if before else 0.0
            stride = adapter.specs[i].in_stride
            feature_map = _feature_map(added, stride)
            member.added[i] = Added(feature_map, edges, strength)
    return members


def _keep_added(
    member: MemberMaps, connection: Any, arguments: tuple, added: Tensor | None
) -> None:
    if added is not None:
        target = arguments[1]
        edges = [(source, target) for source in connection.sources[target]]
        member.added[target] = (edges, added)


@contextmanager
def _recorded(
    composite: CompositeBackbone, members: list[MemberMaps]
) -> Iterator[None]:
    """Put a recorder before every adapter of the composite."""
    adapters = composite.adapters
    composite.adapters = [
        _Recorder(adapter, member)
        for adapter, member in zip(adapters, members, strict=True)
    ]
    try:
        yield
    finally:
        composite.adapters = adapters


class _Recorder:
    """An adapter that keeps what its stem and its stages give."""

    def __init__(self, adapter: MemberAdapter, member: MemberMaps) -> None:
        self._adapter, self._member = adapter, member

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)

    def stem(self, x: Tensor) -> Tensor:
        return self._kept(STEM, self._adapter.stem, x)

    def run_stage(self, i: int, x: Tensor) -> Tensor:
        if i in self._member.added:
            self._member.added[i] += (x,)
        return self._kept(i, partial(self._adapter.run_stage, i), x)

    def _kept(self, i: int, run: Callable, x: Tensor) -> Tensor:
        self._member.outputs[i] = y = run(x)
        return y


def _stride(adapter: MemberAdapter, i: int) -> int:
    if i == STEM:
        return adapter.specs[0].in_stride
    return adapter.specs[i].out_stride


def _feature_map(y: Tensor, stride: int) -> FeatureMap:
    values = y[0].abs().mean(0).float().cpu().numpy()
    return FeatureMap(values, y.shape[1], stride)
