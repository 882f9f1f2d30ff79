"""The options and detectors that assistance refuses."""

from collections.abc import Sequence

from torch import nn

from ...errors import UserTypeError, UserValueError
from ...messages import listed
from ..backbones import CompositeBackbone
from ..members import is_frozen
from ..options import Weight
from .plan import for_each


def check_assisted(detector: nn.Module) -> None:
    """Refuse a detector without a backbone of members."""
    backbone = getattr(detector, 'backbone', None)
    if backbone is None:
        plain = type(detector).__bases__[-1].__name__
        inner = [
            name
            for name, part in detector.named_children()
            if hasattr(part, 'backbone')
        ]
        raise UserTypeError(
            f'base={plain!r} has no backbone of its own'
            f'{", but holds " * bool(inner)}{listed(inner)}; give it as it '
            f'is, and the detector inside it as '
            f"detector=dict(type='AssistedDetector', base=...)"
        )
    if not isinstance(backbone, CompositeBackbone):
        raise UserTypeError(
            f'model.backbone is {type(backbone).__name__}; assistance needs '
            f'a CompositeBackbone: give it as '
            f"backbone=dict(type='CompositeBackbone', member=...), or use "
            f'the plain detector without assistance'
        )


def settle_weights(
    weights: Sequence[Weight] | Weight | None, backbone: CompositeBackbone
) -> tuple[float, ...]:
    """Give the weight of each assistant.

    Raises:
        ValueError: if there are not as many weights as assistants, or if the
            shared neck cannot take the maps of an assistant with a weight
            above 0.
    """
    assistants = backbone.num_members - 1
    if weights is None:
        weights = [0.5, *[1.0] * (assistants - 1)][:assistants]
        # A frozen assistant learns nothing from its losses.
        pairs = zip(weights, backbone.adapters, strict=False)
        weights = [0.0 if is_frozen(a) else weight for weight, a in pairs]
    weights = for_each('weights', weights, assistants)
    _check_pyramids(backbone, weights)
    return tuple(map(float, weights))


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


def settle_proposals(proposals: str | None, detector: nn.Module) -> str:
    """Give ``'lead'`` or ``'own'``.

    Raises:
        ValueError: if it is ``'lead'`` for a detector without RPN or RoI
            heads.
    """
    two_stage = all(
        getattr(detector, head, None) is not None
        for head in ('rpn_head', 'roi_head')
    )
    if proposals is None:
        return 'lead' if two_stage else 'own'
    if proposals == 'lead' and not two_stage:
        raise UserValueError(
            f"assistance.proposals='lead' needs rpn_head and roi_head, but "
            f"{type(detector).__name__} lacks one; use 'own'"
        )
    return proposals
