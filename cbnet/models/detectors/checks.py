"""The options and detectors that assistance refuses."""

import math
from collections.abc import Sequence
from typing import Any

from torch import nn

from ...errors import UserTypeError, UserValueError
from ..backbones import CompositeBackbone


def check_assisted(backbone: nn.Module, lead_statistics: bool) -> None:
    """Refuse a backbone without members, and a switch of the wrong kind."""
    if not isinstance(backbone, CompositeBackbone):
        raise UserTypeError(
            f'model.backbone is {type(backbone).__name__}; assistance needs '
            f'a CompositeBackbone: give it as '
            f"backbone=dict(type='CompositeBackbone', member=...), or use "
            f'the plain detector without assistance'
        )
    if not isinstance(lead_statistics, bool):
        raise UserTypeError(
            f'assistance.lead_statistics={lead_statistics!r}; expected True '
            f'or False'
        )


def settle_weights(
    weights: Any, backbone: CompositeBackbone
) -> tuple[float, ...]:
    """Give the weight of each assistant.

    Raises:
        ValueError: if there are not as many weights as assistants, if one is
            negative or not finite, or if the shared neck cannot take the
            maps of an assistant with a weight above 0.
    """
    assistants = backbone.num_members - 1
    if weights is None:
        weights = [0.5, *[1.0] * (assistants - 1)][:assistants]
    if _is_number(weights):
        weights = [weights] * assistants
    if (
        isinstance(weights, str)
        or not isinstance(weights, Sequence)
        or len(weights) != assistants
    ):
        raise UserValueError(
            f'assistance.weights={weights!r} does not fit '
            f'backbone.num_members={assistants + 1}: expected one weight for '
            f'each of the {assistants} assistants (every member but the '
            f'last), or one number for all'
        )
    if not all(_is_number(w) and 0 <= w < math.inf for w in weights):
        raise UserValueError(
            f'assistance.weights={list(weights)}; expected finite numbers '
            f'from 0'
        )
    _check_pyramids(backbone, weights)
    return tuple(map(float, weights))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_pyramids(
    backbone: CompositeBackbone, weights: Sequence[float]
) -> None:
    *assistants, lead = [
        [
            f'{spec.out_channels} channels at stride {spec.out_stride}'
            for spec in adapter.specs
        ]
        for adapter in backbone.adapters
    ]
    for k, weight in enumerate(weights):
        for i in backbone.out_indices if weight else ():
            if assistants[k][i] != lead[i]:
                raise UserValueError(
                    f'assistance.weights[{k}]={weight}: stage {i} gives '
                    f'{assistants[k][i]} in member {k}, {lead[i]} in the '
                    f'lead, and one neck serves both; use members with equal '
                    f'maps, or weight 0 for this assistant'
                )


def settle_proposals(proposals: Any, detector: nn.Module) -> str:
    """Give ``'lead'`` or ``'own'``.

    Raises:
        ValueError: if it is neither, or ``'lead'`` for a detector without
            RPN or RoI heads.
    """
    two_stage = all(
        getattr(detector, head, None) is not None
        for head in ('rpn_head', 'roi_head')
    )
    if proposals is None:
        return 'lead' if two_stage else 'own'
    if proposals not in ('lead', 'own'):
        raise UserValueError(
            f"assistance.proposals={proposals!r}; expected 'lead' or 'own'"
        )
    if proposals == 'lead' and not two_stage:
        raise UserValueError(
            f"assistance.proposals='lead' needs rpn_head and roi_head, but "
            f"{type(detector).__name__} lacks one; use 'own'"
        )
    return proposals
