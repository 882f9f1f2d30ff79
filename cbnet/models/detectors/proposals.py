"""Give the lead's proposals to the assistants' RoI losses."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from torch import nn

from ...compat.mmengine_internals import answer_calls


@contextmanager
def lead_proposals(rpn_head: nn.Module) -> Iterator[None]:
    """Let all loss passes inside the block share the first one's proposals.

    The lead must come first.  Later calls of ``loss_and_predict`` return
    their own RPN losses with copies of the lead's proposals (boxes xyxy in
    input pixels), because RoI heads rename entries of what they are given.

    In the published detector each member's proposals overwrite those of the
    member before, so every RoI loss uses the lead's there, too.

    Args:
        rpn_head: the detector's RPN head.
    """
    original = rpn_head.loss_and_predict
    recorded: list[Any] = []

    def share(x: Any, samples: list, **kwargs: Any) -> tuple[dict, list]:
        if not recorded:
            losses, proposals = original(x, samples, **kwargs)
            recorded.extend(p.new() for p in proposals)
            return losses, proposals
        if isinstance(rpn_head, BaseDenseHead):  # skips a second selection
            losses = rpn_head.loss(x, samples)
        else:
            losses, _ = original(x, samples, **kwargs)
        return losses, [p.new() for p in recorded]

    with answer_calls(rpn_head, 'loss_and_predict', share):
        yield
