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
    records = [_Record() for _ in composite.members]
    with _recorded(composite, records):
        # This runs the stages that no edge reads, too.
        composite(image, all_members=True)
    return [
        record.summarise(type(member).__name__, adapter)
        for record, member, adapter in zip(
            records, composite.members, composite.adapters, strict=True
        )
    ]


@dataclass
class _Record:
    """The tensors of one member, by stage."""

    inputs: dict[int, Tensor] = field(default_factory=dict)
    outputs: dict[int, Tensor] = field(default_factory=dict)
    added: dict[int, Tensor] = field(default_factory=dict)
    edges: dict[int, list[Edge]] = field(default_factory=dict)

    def summarise(self, backbone: str, adapter: MemberAdapter) -> MemberMaps:
        """Average over the channels and compute the strengths."""
        specs = adapter.specs
        strides = {i: spec.out_stride for i, spec in enumerate(specs)}
        strides[STEM] = specs[0].in_stride
        maps = MemberMaps(backbone)
        for i, y in self.outputs.items():
            maps.outputs[i] = _feature_map(y, strides[i])
        for i, added in self.added.items():
            before = (self.inputs[i] - added).norm()
            strength = float(added.norm() / before) if before else 0.0
            shown = _feature_map(added, specs[i].in_stride)
            maps.added[i] = Added(shown, self.edges[i], strength)
        return maps


@contextmanager
def _recorded(
    composite: CompositeBackbone, records: list[_Record]
) -> Iterator[None]:
    """Record the calls of the connections, stems and stages."""
    hooks = [
        connection.register_forward_hook(partial(_keep_added, record))
        for connection, record in zip(
            composite.connections, records[1:], strict=True
        )
    ]
    for adapter, record in zip(composite.adapters, records, strict=True):
        _record_calls(adapter, record)
    try:
        yield
    finally:
        for adapter in composite.adapters:
            del adapter.stem, adapter.run_stage
        for hook in hooks:
            hook.remove()


def _keep_added(
    record: _Record,
    connection: Connection,
    arguments: tuple[Any, ...],
    added: Tensor | None,
) -> None:
    if added is not None:
        target = arguments[1]
        record.added[target] = added
        record.edges[target] = [
            (source, target) for source in connection.sources[target]
        ]


def _record_calls(adapter: MemberAdapter, record: _Record) -> None:
    """Cover an adapter's two methods until they are deleted again."""
    stem, run_stage = adapter.stem, adapter.run_stage

    def recorded_stem(x: Tensor) -> Tensor:
        record.outputs[STEM] = y = stem(x)
        return y

    def recorded_stage(i: int, x: Tensor) -> Tensor:
        record.inputs[i] = x
        record.outputs[i] = y = run_stage(i, x)
        return y

    adapter.stem, adapter.run_stage = recorded_stem, recorded_stage


def _feature_map(y: Tensor, stride: int) -> FeatureMap:
    values = y[0].abs().mean(0).float().cpu().numpy()
    return FeatureMap(values, y.shape[1], stride)
