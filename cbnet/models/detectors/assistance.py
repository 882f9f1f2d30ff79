"""Assistant supervision: losses on the assistants' pyramids, in training.

Paper: arXiv 2107.00420, section 3.3: ``L = L_lead + sum_i w_i L_assist^i``,
with the same neck and heads in every term.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

from mmdet.models.utils import rename_loss_dict, reweight_loss_dict
from mmengine.structures import BaseDataElement
from torch import Tensor

from ...errors import UserTypeError
from ..options import Options, Weight
from ..statistics import frozen_statistics
from .checks import check_assisted, settle_proposals, settle_weights
from .proposals import lead_proposals
from .samples import fresh


@dataclass(frozen=True)
class AssistanceOptions(Options):
    """How the assistants are supervised.

    Attributes:
        weights: the factor of each assistant's losses, or one for all; by
            default as published, 0.5 for the first assistant and 1 for
            further ones; 0 skips an assistant.
        proposals: ``'lead'``: all RoI losses use the lead's proposals (as
            published, and the default of detectors with RPN and RoI heads);
            ``'own'``: those of each member use its own.
        lead_statistics: whether the running statistics of shared norms
            follow the lead only.
    """

    key = 'assistance'

    weights: Sequence[Weight] | Weight | None = None
    proposals: Literal['lead', 'own'] | None = None
    # Deviation: statistics of shared norms.  In the published code, every
    # pass moves them, but inference uses them for the lead only.
    lead_statistics: bool = True


class AssistantSupervision:
    """A mixin before a detector class: one loss pass per member.

    It relies on one property of mmdet's detectors: ``loss`` calls
    ``extract_feat`` once, and nothing else uses the backbone.  If a detector
    does not have this property, ``loss`` raises a ``TypeError``.
    Deviation: kinds of detectors.  The published code has two-stage ones.

    Args:
        assistance: the overrides of :class:`AssistanceOptions`.
        kwargs: the detector's own arguments.

    Raises:
        TypeError: if the backbone is not a composite.
        ValueError: if an option does not fit the detector or the members.
    """

    def __init__(
        self, assistance: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        options = AssistanceOptions().updated(assistance)
        check_assisted(self.backbone)
        self.assistant_weights = settle_weights(options.weights, self.backbone)
        self.proposals = settle_proposals(options.proposals, self)
        self.lead_statistics = options.lead_statistics
        self._served, self._in_pass = None, False

    def loss(
        self,
        batch_inputs: Tensor,
        batch_data_samples: list[BaseDataElement],
        **kwargs: Any,
    ) -> dict[str, Tensor | list[Tensor]]:
        """Compute the lead's losses and the weighted assistants' losses.

        Args:
            batch_inputs: the images (B, C, H, W).
            batch_data_samples: the ground truth, which is not modified.
            kwargs: the further arguments of the detector's ``loss``.

        Returns:
            The lead's losses under their plain names, those of assistant
            ``i`` under ``assist<i>.``; accuracies are not scaled.
        """
        *assistants, lead = self.backbone(batch_inputs, all_members=True)
        inputs = (batch_inputs, batch_data_samples)
        relay = self.proposals == 'lead'
        with lead_proposals(self.rpn_head) if relay else nullcontext():
            # The lead comes first, so that its random numbers, proposals
            # and losses are those of the plain detector.
            losses = self._member_loss(lead, *inputs, **kwargs)
            for i, weight in enumerate(self.assistant_weights):
                if not weight:
                    continue
                held = [self] if self.lead_statistics else []
                with frozen_statistics(*held):
                    part = self._member_loss(assistants[i], *inputs, **kwargs)
                # Deviation: accuracy of assistants.  It is not weighted.
                part = reweight_loss_dict(part, weight)
                # Deviation: names of losses.
                losses.update(rename_loss_dict(f'assist{i}.', part))
        return losses

    def extract_feat(self, batch_inputs: Tensor) -> Any:
        """In a loss pass, give the neck a member's pyramid, not the images."""
        if not self._in_pass:
            return super().extract_feat(batch_inputs)
        pyramid, self._served = self._served, None
        if pyramid is None:
            self._refuse('requests its features more than once')
        return self.neck(pyramid) if self.with_neck else pyramid

    def _member_loss(
        self,
        pyramid: tuple[Tensor, ...],
        batch_inputs: Tensor,
        batch_data_samples: list[BaseDataElement],
        **kwargs: Any,
    ) -> dict[str, Any]:
        self._served, self._in_pass = pyramid, True
        try:
            samples = [fresh(sample) for sample in batch_data_samples]
            losses = super().loss(batch_inputs, samples, **kwargs)
            if self._served is not None:
                self._refuse('does not request features through extract_feat')
        finally:
            self._served, self._in_pass = None, False
        return losses

    def _refuse(self, what: str) -> None:
        raise UserTypeError(
            f'{type(self).__bases__[-1].__name__}.loss {what}; assistance is '
            f'not available for this detector'
        )
