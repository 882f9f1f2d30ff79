"""Assistant supervision: losses on the assistants' pyramids, in training.

Paper: arXiv 2107.00420, section 3.3: ``L = L_lead + sum_i w_i L_assist^i``,
every term through the same neck and heads.  ``AssistedDetector`` makes a
subclass of any mmdet detector; parameters, inference, hooks and tools stay
those of that detector, and ``type='MaskRCNN'`` loads the trained file.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any

from mmdet.models.utils import rename_loss_dict, reweight_loss_dict
from mmdet.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import Tensor

from ...errors import UserTypeError, UserValueError
from ...messages import did_you_mean
from ..backbones import CompositeBackbone
from ..statistics import frozen_statistics
from .proposals import lead_proposals

Pyramid = tuple[Tensor, ...]


class AssistantSupervision:
    """Mixin before a detector class: one loss pass per member.

    It rests on one sentence that holds for mmdet's detectors: ``loss`` asks
    ``extract_feat`` for the features once, and nothing else touches the
    backbone.  Where a detector breaks it, an error says so.

    Deviation: kinds of detectors.  The published code has two-stage ones.

    Args:
        assistance: ``weights``: a factor per assistant, or one for all; as
            published by default: 0.5 for the first, 1 for further ones; 0
            skips the assistant.  ``proposals``: ``'lead'``: RoI losses of
            all members on the lead's proposals (as published, default of
            detectors with RPN and RoI heads); ``'own'``: on each member's
            own.  ``lead_statistics``: whether running statistics of shared
            norms follow the lead alone.
        kwargs: the detector's own arguments.

    Raises:
        TypeError: where the backbone is no composite.
        ValueError: for arguments that do not fit.
    """

    def __init__(
        self, assistance: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(self.backbone, CompositeBackbone):
            raise UserTypeError(
                f'model.backbone is {type(self.backbone).__name__}; '
                f'assistance needs a CompositeBackbone: give it as '
                f"backbone=dict(type='CompositeBackbone', member=...), or "
                f'drop assistance by using the plain detector'
            )
        options = dict(assistance or {})
        self.assistant_weights = _weights(
            options.pop('weights', None), self.backbone.num_members - 1
        )
        _check_pyramids(self.backbone, self.assistant_weights)
        two_stage = all(
            getattr(self, head, None) is not None
            for head in ('rpn_head', 'roi_head')
        )
        self.proposals = options.pop(
            'proposals', 'lead' if two_stage else 'own'
        )
        # Deviation: statistics of shared norms.  The published code lets
        # every pass move them, but inference uses the lead's pyramid.
        self.lead_statistics = options.pop('lead_statistics', True)
        if options:
            there = ('weights', 'proposals', 'lead_statistics')
            unknown = sorted(options)[0]
            raise UserValueError(
                f'assistance has no option {unknown!r}'
                f'{did_you_mean(unknown, there) or ";"} It has '
                f'{", ".join(there)}'
            )
        if self.proposals not in ('lead', 'own'):
            raise UserValueError(
                f"assistance.proposals={self.proposals!r}; expected 'lead' "
                f"or 'own'"
            )
        if self.proposals == 'lead' and not two_stage:
            raise UserValueError(
                f"assistance.proposals='lead' needs rpn_head and roi_head; "
                f"{type(self).__name__} lacks one: use 'own'"
            )
        self._served: Pyramid | None = None
        self._in_pass = False

    def extract_feat(self, batch_inputs: Tensor) -> Any:
        """Serve a member's pyramid in a loss pass, else run the backbone.

        Args:
            batch_inputs: images (B, C, H, W).

        Returns:
            What the neck makes of the pyramid.
        """
        if not self._in_pass:
            return super().extract_feat(batch_inputs)
        pyramid, self._served = self._served, None
        if pyramid is None:
            raise UserTypeError(
                f'{type(self).__bases__[-1].__name__}.loss requests its '
                f'features more than once; assistance is not available'
            )
        return self.neck(pyramid) if self.with_neck else pyramid

    def loss(
        self,
        batch_inputs: Tensor,
        batch_data_samples: list[BaseDataElement],
        **kwargs: Any,
    ) -> dict[str, Tensor | list[Tensor]]:
        """Compute the lead's losses and the weighted assistants' ones.

        Args:
            batch_inputs: images (B, C, H, W).
            batch_data_samples: ground truth; left as it is.
            kwargs: passed to the detector's ``loss``.

        Returns:
            The lead's losses under their plain names, those of assistant
            ``i`` under ``assist<i>.``; accuracies are not scaled.
        """
        *assistants, lead = self.backbone(batch_inputs, all_members=True)
        inputs = (batch_inputs, batch_data_samples)
        relay = self.proposals == 'lead'
        with lead_proposals(self.rpn_head) if relay else nullcontext():
            # The lead first: its random stream, its proposals and its
            # losses are then those of the plain detector.
            losses = self._member_loss(lead, *inputs, **kwargs)
            for i, (weight, pyramid) in enumerate(
                zip(self.assistant_weights, assistants, strict=True)
            ):
                if not weight:
                    continue
                with (
                    frozen_statistics(self)
                    if self.lead_statistics
                    else nullcontext()
                ):
                    part = self._member_loss(pyramid, *inputs, **kwargs)
                # Deviation: accuracy of assistants.  It is not weighted.
                part = reweight_loss_dict(part, weight)
                # Deviation: names of losses.
                losses.update(rename_loss_dict(f'assist{i}.', part))
        return losses

    def _member_loss(
        self,
        pyramid: Pyramid,
        batch_inputs: Tensor,
        batch_data_samples: list[BaseDataElement],
        **kwargs: Any,
    ) -> dict[str, Any]:
        self._served, self._in_pass = pyramid, True
        try:
            # Heads rename and replace entries of what they are given.
            samples = [fresh(sample) for sample in batch_data_samples]
            losses = super().loss(batch_inputs, samples, **kwargs)
            unused = self._served is not None
        finally:
            self._served, self._in_pass = None, False
        if unused:
            raise UserTypeError(
                f'{type(self).__bases__[-1].__name__}.loss does not request '
                f'features through extract_feat; assistance is not available'
            )
        return losses


def fresh(element: BaseDataElement) -> BaseDataElement:
    """Copy the containers of a data element, share its tensors."""
    copy = element.new()
    for name, value in list(copy.items()):
        if isinstance(value, BaseDataElement):
            copy.set_field(fresh(value), name)
    return copy


def _check_pyramids(
    backbone: CompositeBackbone, weights: Sequence[float]
) -> None:
    """Refuse assistants whose maps the shared neck cannot take."""
    *assistants, lead = [
        [(s.out_channels, s.out_stride) for s in adapter.specs]
        for adapter in backbone.adapters
    ]
    for k, (assistant, weight) in enumerate(
        zip(assistants, weights, strict=True)
    ):
        for i in backbone.out_indices if weight else ():
            if assistant[i] != lead[i]:
                raise UserValueError(
                    f'assistance.weights[{k}]={weight}: stage {i} gives '
                    f'{assistant[i][0]} channels at stride {assistant[i][1]} '
                    f'in member {k}, {lead[i][0]} at stride {lead[i][1]} in '
                    f'the lead, and one neck serves both; use members of '
                    f'equal maps, or weight 0 for this one'
                )


def _weights(weights: Any, assistants: int) -> tuple[float, ...]:
    if weights is None:
        weights = [0.5, *[1.0] * (assistants - 1)][:assistants]
    if isinstance(weights, int | float):
        weights = [weights] * assistants
    if not isinstance(weights, Sequence) or len(weights) != assistants:
        raise UserValueError(
            f'assistance.weights={weights!r} does not fit '
            f'backbone.num_members={assistants + 1}: expected one weight for '
            f'each of the {assistants} assistants (every member but the '
            f'last), or one number for all'
        )
    if not all(
        isinstance(weight, int | float) and 0 <= weight < float('inf')
        for weight in weights
    ):
        raise UserValueError(
            f'assistance.weights={list(weights)}; expected finite numbers '
            f'from 0'
        )
    return tuple(map(float, weights))


@cache
def assisted(base: type) -> type:
    """Make the assisted subclass of a detector class; one for each class."""
    name = f'Assisted{base.__name__}'
    return type(
        name,
        (AssistantSupervision, base),
        # A real address, so that models pickle (see __getattr__ below).
        dict(__module__=__name__, __qualname__=name, __doc__=base.__doc__),
    )


@MODELS.register_module()
def AssistedDetector(
    base: str, assistance: dict[str, Any] | None = None, **kwargs: Any
) -> AssistantSupervision:
    """Build a detector with assistant supervision.

    Args:
        base: the detector's type, e.g. ``'MaskRCNN'``.
        assistance: see :class:`AssistantSupervision`.
        kwargs: the detector's own arguments, as in its plain config.

    Raises:
        ValueError: for a ``base`` that is not registered.
    """
    return assisted(_detector_class(base))(assistance=assistance, **kwargs)


def _detector_class(name: str) -> type:
    base = MODELS.get(name)
    if base is None:
        raise UserValueError(
            f'base={name!r} is not a registered detector'
            f'{did_you_mean(name, MODELS.module_dict) or ";"} Give the type '
            f"of the plain config, e.g. 'MaskRCNN'"
        )
    return base


def __getattr__(name: str) -> type:
    """Resolve ``AssistedMaskRCNN`` and its like, for pickle and imports."""
    base = name.removeprefix('Assisted')
    if base == name or MODELS.get(base) is None:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return assisted(MODELS.get(base))
