"""What the members of a composite compute and what connections add."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models.backbones import CompositeBackbone, Connection
from ..models.backbones.connections import Edge
from ..models.members import STEM, MemberAdapter, MemberRun


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
    """Run a composite on one image and keep what its members compute.

    The composite and its mode stay as they are.

    Args:
        composite: any number of members, any style.
        image: the input of the backbone, (1, 3, H, W).

    Returns:
        One entry per member, the lead's last.
    """
    members = [MemberMaps(type(m).__name__) for m in composite.members]
    with ExitStack() as stack:
        runs = [
            stack.enter_context(_recorded_run(adapter))
            for adapter in composite.adapters
        ]
        added = [
            stack.enter_context(_recorded_additions(connection))
            for connection in composite.connections
        ]
        # All members, so that stages which no edge reads run, too.
        composite(image, all_members=True)
    for k, (member, adapter) in enumerate(
        zip(members, composite.adapters, strict=True)
    ):
        (run,) = runs[k]
        own = range(adapter.shared_stages or 0, len(adapter.specs))
        stem = [STEM] if adapter.shared_stages is None else []
        for i in (*stem, *own):
            member.outputs[i] = _feature_map(
                run.outputs[i], _stride(adapter, i)
            )
        for i, total in added[k - 1].items() if k else ():
            before = run.inputs[i].norm()
            member.added[i] = Added(
                _feature_map(total, adapter.specs[i].in_stride),
                [(s, i) for s in composite.connections[k - 1].sources[i]],
                float(total.norm() / before) if before else 0.0,
            )
    return members


@contextmanager
def _recorded_run(adapter: MemberAdapter) -> Iterator[list[MemberRun]]:
    """Keep what the adapter's ``run`` returns."""
    runs, run = [], adapter.run

    def recorded(*args: Any) -> MemberRun:
        runs.append(run(*args))
        return runs[-1]

    adapter.run = recorded
    try:
        yield runs
    finally:
        del adapter.run


@contextmanager
def _recorded_additions(
    connection: Connection,
) -> Iterator[dict[int, Tensor]]:
    """Keep what a connection computes for each target stage."""
    added: dict[int, Tensor] = {}

    def keep(_: Any, arguments: tuple, total: Tensor | None) -> None:
        if total is not None:
            added[arguments[1]] = total

    hook = connection.register_forward_hook(keep)
    try:
        yield added
    finally:
        hook.remove()


def _stride(adapter: MemberAdapter, i: int) -> int:
    if i == STEM:
        return adapter.specs[0].in_stride
    return adapter.specs[i].out_stride


def _feature_map(y: Tensor, stride: int) -> FeatureMap:
    values = y[0].abs().mean(0).float().cpu().numpy()
    return FeatureMap(values, y.shape[1], stride)
