"""Assistant supervision: losses on the assistants' pyramids, in training.

Paper: arXiv 2107.00420, section 3.3: ``L = L_lead + sum_i w_i L_assist^i``,
with the same neck and heads in every term.
"""

from typing import Any

from mmdet.models.utils import rename_loss_dict, reweight_loss_dict
from mmengine.structures import BaseDataElement
from torch import Tensor

from ...errors import UserTypeError
from .backward import choose_backward
from .checks import check_assisted, settle_proposals, settle_weights
from .head_scale import make_head_scale
from .memory import STATISTICS, kept_memory
from .plan import AssistanceOptions, make_plans
from .replay import LEAD, Replay
from .samples import fresh


class AssistantSupervision:
    """A mixin before a detector class: one loss pass per member.

    The lead's pass records what the detector asks its backbone for.  The
    passes of the assistants get their own maps in answer to the same calls.
    Whatever else they change is taken back (:mod:`.memory`).
    Deviation: kinds of detectors.  The published code has two-stage ones.

    Args:
        assistance: the overrides of :class:`~.plan.AssistanceOptions`.
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
        check_assisted(self)
        weights = settle_weights(options.weights, self.backbone)
        self.plans = make_plans(options, weights)
        self.proposals = settle_proposals(options.proposals, self)
        self.lead_statistics = options.lead_statistics
        self.head_scale = make_head_scale(options.backward)
        self._has_assisted = not any(self.assistant_weights)

    @property
    def assistant_weights(self) -> tuple[float, ...]:
        """The weight of each assistant's losses at the start."""
        return tuple(plan.weight for plan in self.plans)

    def loss(
        self,
        batch_inputs: Tensor,
        batch_data_samples: list[BaseDataElement],
        **kwargs: Any,
    ) -> dict[str, Tensor | list[Tensor]]:
        """Compute the lead's losses and the weighted assistants' losses.

        Args:
            batch_inputs: the images (B, C, H, W), or of another shape that
                the detector takes, such as (B, T, C, H, W).
            batch_data_samples: the ground truth, which is not modified.
            kwargs: the further arguments of the detector's ``loss``.

        Returns:
            The lead's losses under their plain names, those of assistant
            ``i`` under ``assist<i>.``; accuracies are not scaled.
        """
        self._has_assisted = True
        weights = [plan.weight_now() for plan in self.plans]
        if not any(weights):
            return super().loss(batch_inputs, batch_data_samples, **kwargs)
        backward = choose_backward(self, self.head_scale)
        replay = Replay(self, backward, relays=self.proposals == 'lead')
        moved = () if self.lead_statistics else STATISTICS

        # The lead comes first, so that its random numbers, proposals and
        # losses are those of the plain detector.
        with replay.of(LEAD):
            samples = fresh(batch_data_samples)
            losses = super().loss(batch_inputs, samples, **kwargs)
        losses = backward.end_pass(losses)
        for i, weight in enumerate(weights):
            if not weight:
                continue
            with replay.of(i), kept_memory(self, besides=moved):
                samples = fresh(batch_data_samples)
                part = super().loss(batch_inputs, samples, **kwargs)
            # Deviation: accuracy of assistants.  It is not weighted.
            part = reweight_loss_dict(self.plans[i].chosen(part), weight)
            # Deviation: names of losses.
            part = rename_loss_dict(f'assist{i}.', part)
            losses.update(backward.end_pass(part))
        return backward.join(losses)

    def extract_feat(self, *args: Any, **kwargs: Any) -> Any:
        """Extract features; see that training does not end with them.

        Models that hold a detector may compute losses from its heads.
        """
        features = super().extract_feat(*args, **kwargs)
        if self.training and not self._has_assisted:
            for y in features:
                if isinstance(y, Tensor) and y.requires_grad:
                    y.register_hook(self._see_assistance)
                    break
        return features

    def _see_assistance(self, gradient: Tensor) -> None:
        """Refuse a first step whose gradient comes without assistance."""
        if self._has_assisted:
            return
        plain = type(self).__bases__[-1].__name__
        raise UserTypeError(
            f'the assistants of {type(self).__name__} are never supervised, '
            f'because the model that holds it computes its losses from its '
            f'heads and does not call its loss; set assistance.weights=0, or '
            f'give the type {plain!r} with the same backbone'
        )
