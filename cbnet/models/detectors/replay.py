"""The loss passes of one step: the same calls, answered by each member."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from torch import Tensor, nn

from ...compat.mmengine_internals import answer_calls
from ...errors import UserTypeError
from .backward import PerMember, Together

LEAD = -1


class Replay:
    """What a detector asks for in the lead's pass, and is told in others.

    The passes of the assistants make the same calls in the same order, so
    the number of a call tells its answer.  The backbone answers with the maps
    of the member whose pass it is, as it did in the lead's pass, whatever the
    shape and the number of its inputs.

    The RPN's selection may be the lead's in all passes: copies of its
    proposals (boxes xyxy in input pixels), because RoI heads rename entries
    of what they are given.  In the published detector, each member's
    proposals overwrite those of the member before, so every RoI loss uses
    the lead's there, too.

    Args:
        detector: the detector.
        backward: what hands out maps to the passes.
        relays: whether all RoI losses use the lead's proposals.
    """

    def __init__(
        self, detector: nn.Module, backward: Together | PerMember, relays: bool
    ) -> None:
        self._backward = backward
        self._name = type(detector).__bases__[-1].__name__
        self._backbone = detector.backbone
        self._rpn = detector.rpn_head if relays else None
        self._maps = _Answers(f'{self._name}.loss asks its backbone')
        self._proposals = _Answers(f'{self._name}.loss asks its RPN')

    @contextmanager
    def of(self, member: int) -> Iterator[None]:
        """Answer the calls of one pass; the lead's comes first.

        Args:
            member: the index of an assistant, or ``LEAD``.

        Raises:
            TypeError: the pass makes more or fewer calls than the lead's, or
                the lead's asks for no maps.
        """
        forward = self._backbone.forward

        def maps(images: Tensor) -> tuple[Tensor, ...]:
            if member == LEAD:
                self._maps.record(forward(images, all_members=True))
            return self._backward.hand_out(self._maps.next()[member])

        with answer_calls(self._backbone, 'forward', maps):
            with self._relayed(member) if self._rpn else nullcontext():
                yield
        if self._maps.end_pass() == 0:
            raise UserTypeError(
                f'{self._name}.loss does not ask its backbone for maps, so no '
                f'assistant can be supervised; set assistance.weights=0'
            )
        self._proposals.end_pass()

    @contextmanager
    def _relayed(self, member: int) -> Iterator[None]:
        select = self._rpn.loss_and_predict

        def share(x: Any, samples: list, **kwargs: Any) -> tuple[dict, list]:
            if member != LEAD and isinstance(self._rpn, BaseDenseHead):
                losses = self._rpn.loss(x, samples)  # skips a selection
            else:
                losses, proposals = select(x, samples, **kwargs)
            if member == LEAD:
                self._backward.see_relayed(proposals)
                self._proposals.record([p.new() for p in proposals])
            return losses, [p.new() for p in self._proposals.next()]

        with answer_calls(self._rpn, 'loss_and_predict', share):
            yield


class _Answers:
    """The answers to the calls of one method, in their order.

    Args:
        what: who asks for what, for errors.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._recorded: list[Any] = []
        self._calls = 0

    def record(self, answer: Any) -> None:
        """Keep the answer to the next call."""
        self._recorded.append(answer)

    def next(self) -> Any:
        """Return the answer to the next call."""
        if self._calls == len(self._recorded):
            self._refuse('more')
        self._calls += 1
        return self._recorded[self._calls - 1]

    def end_pass(self) -> int:
        """Begin again with the first answer; return their number."""
        if self._calls < len(self._recorded):
            self._refuse('less')
        self._calls = 0
        return len(self._recorded)

    def _refuse(self, than: str) -> None:
        raise UserTypeError(
            f'{self._what} {than} often for an assistant than for the lead '
            f'({len(self._recorded)} times), so no assistant can be '
            f'supervised; set assistance.weights=0'
        )
