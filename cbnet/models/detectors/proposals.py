"""Whose proposals the assistants' RoI losses see: the lead's, relayed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from torch import nn


@contextmanager
def lead_proposals(rpn_head: nn.Module) -> Iterator[None]:
    """Relay the proposals of the first pass to all later ones.

    Inside the block, the first ``loss_and_predict`` is the head's own; later
    calls return their own RPN losses beside copies of the first proposals
    (boxes xyxy in input pixels).  Copies, because RoI heads rename entries
    of what they are given.

    Source: the published detector overwrites the proposals member by
    member, so the last, the lead's, reach every RoI loss.

    Args:
        rpn_head: the detector's RPN head.
    """
    original = rpn_head.loss_and_predict
    recorded: list[Any] = []

    def relay(x: Any, samples: list, **kwargs: Any) -> tuple[dict, list]:
        if not recorded:
            losses, proposals = original(x, samples, **kwargs)
            recorded.extend(p.new() for p in proposals)
            return losses, proposals
        if isinstance(rpn_head, BaseDenseHead):  # spares a second selection
            losses = rpn_head.loss(x, samples)
        else:
            losses, _ = original(x, samples, **kwargs)
        return losses, [p.new() for p in recorded]

    rpn_head.loss_and_predict = relay
    try:
        yield
    finally:
        del rpn_head.loss_and_predict
