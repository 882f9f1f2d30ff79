"""Record what a composite's members compute and what connections add."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models.backbones import CompositeBackbone
from ..models.backbones.connections import Edge
from ..models.members import STEM, MemberAdapter, MemberRun


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
        strength: the Euclidean norm of the sum over that of the stage input
            to which it is added.
    """

    map: FeatureMap
    edges: list[Edge]
    strength: float


@dataclass
class MemberMaps:
    """What one member computed.

    Attributes:
        backbone: the name of the member's class.
        outputs: the stage outputs, the stem's at -1. Those of shared
            stages, which the member does not compute, are missing.
        added: by stage, what the member before adds to the stage input.
    """

    backbone: str
    outputs: dict[int, FeatureMap] = field(default_factory=dict)
    added: dict[int, Added] = field(default_factory=dict)


@torch.no_grad()
def connection_maps(
    composite: CompositeBackbone, image: Tensor
) -> list[MemberMaps]:
    """Run a composite on one image and describe each member, the lead last.

    The image is the input of the backbone, (1, 3, H, W). The composite and
    its mode do not change.
    """
    members = []
    for k, (adapter, run, added) in enumerate(_recorded(composite, image)):
        specs, first = adapter.specs, adapter.shared_stages
        strides = {STEM: specs[0].in_stride}
        strides |= {i: spec.out_stride for i, spec in enumerate(specs)}
        member = MemberMaps(type(adapter.backbone).__name__)
        for i in range(STEM if first is None else first, len(specs)):
            member.outputs[i] = _feature_map(run.outputs[i], strides[i])
        for i, total in added.items():
            before = run.inputs[i].norm()
            member.added[i] = Added(
                _feature_map(total, specs[i].in_stride),
                [(s, i) for s in composite.connections[k - 1].sources[i]],
                float(total.norm() / before) if before else 0.0,
            )
        members.append(member)
    return members


def _recorded(
    composite: CompositeBackbone, image: Tensor
) -> list[tuple[MemberAdapter, MemberRun, dict[int, Tensor]]]:
    """Run a composite; return each member's run and what was added to it."""
    records = []

    def record(
        adapter: MemberAdapter, images: Tensor, add: Callable, *rest: Any
    ) -> MemberRun:
        added = {}

        def keep(i: int, size: tuple[int, int]) -> Tensor | None:
            total = add(i, size)
            if total is not None:
                added[i] = total
            return total

        run = type(adapter).run(adapter, images, keep, *rest)
        records.append((adapter, run, added))
        return run

    try:
        for adapter in composite.adapters:
            adapter.run = partial(record, adapter)
        # All members, so that stages which no edge reads run, too.
        composite(image, all_members=True)
    finally:
        for adapter in composite.adapters:
            vars(adapter).pop('run', None)
    return records


def _feature_map(y: Tensor, stride: int) -> FeatureMap:
    values = y[0].abs().mean(0).float().cpu().numpy()
    return FeatureMap(values, y.shape[1], stride)
