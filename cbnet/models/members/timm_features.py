"""Which of a timm model's features end the stages."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from torch import nn

from ...errors import UserValueError


@dataclass(frozen=True)
class Feature:
    """A feature that ends a stage.

    Attributes:
        index: its number among the model's intermediates.
        stride: the input pixels per position.
        name: the module that yields it, as timm says.
    """

    index: int
    stride: int
    name: str


def choose_features(
    model: nn.Module, groups: int | Sequence[int], first_stride: int = 4
) -> list[Feature]:
    """Choose the features that end the stages.

    Features with a stride below the first one belong to the stem.  A stage
    ends with the last feature of each stride.  If those are fewer than
    ``groups``, as in a plain ViT, whose blocks all have one stride, the
    longest runs of equal stride are split evenly.

    Args:
        model: the timm model.
        groups: the number of stages to reach by splitting, or the indices
            of the features that end the stages.
        first_stride: the least stride of a stage.

    Raises:
        ValueError: timm does not describe the model's features, or it does
            not have those that ``groups`` lists.
    """
    info: list[dict[str, Any]] = getattr(model, 'feature_info', None) or []
    if not hasattr(model, 'forward_intermediates') or not info:
        raise UserValueError('timm does not describe its features')
    features = [
        Feature(i, f['reduction'], f['module'])
        for i, f in enumerate(info)
        if f['reduction'] >= first_stride
    ]
    if not features:
        raise UserValueError(
            f'it has no features with a stride of {first_stride} or more'
        )
    if not isinstance(groups, int):
        return _listed(features, groups)
    runs = [list(run) for _, run in groupby(features, lambda f: f.stride)]
    parts = [1] * len(runs)
    while sum(parts) < groups:
        longest = max(range(len(runs)), key=lambda k: len(runs[k]) / parts[k])
        if len(runs[longest]) == parts[longest]:
            break
        parts[longest] += 1
    return [
        run[round(len(run) * (k + 1) / n) - 1]
        for run, n in zip(runs, parts, strict=True)
        for k in range(n)
    ]


def _listed(features: list[Feature], indices: Sequence[int]) -> list[Feature]:
    """Give the features of these indices, which must be in order."""
    there = {feature.index: feature for feature in features}
    known = bool(indices) and all(i in there for i in indices)
    if not known or any(i >= j for i, j in pairwise(indices)):
        raise UserValueError(
            f'groups={indices!r}; expected ascending numbers from '
            f'{min(there)} to {max(there)}, the last block of each stage'
        )
    return [there[i] for i in indices]
