"""Sigmoid focal loss of integer labels, forward and backward."""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from .precision import widen
from .table import serve

# mmcv's kernel takes log(max(p, FLT_MIN)) whatever the type of p.
_LOG_FLOOR = math.log(torch.finfo(torch.float32).tiny)


@serve('torch')
def sigmoid_focal_loss_forward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    output: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Write the loss of every logit.

    Args:
        input: (N, C), logits.
        target: (N,), int64; C (or a negative label) is background.
        weight: (C,), a factor for the rows of each label, or empty: none.
        output: (N, C), written.
        gamma: exponent of the modulating factor.
        alpha: weight of the positives, 1 - alpha that of the negatives.

    Raises:
        ValueError: a label is greater than C.
    """
    if input.numel() == 0:
        return
    labels = input.size(1)
    highest = int(target.max())
    if highest > labels:
        raise ValueError(
            f'sigmoid_focal_loss: target holds the label {highest}, expected '
            f'at most {labels} (the background label of {labels} classes); '
            "check num_classes against the data set's categories"
        )
    p, q, log_p, log_q = _probabilities(input)
    positive = alpha * q.pow(gamma) * log_p
    negative = (1 - alpha) * p.pow(gamma) * log_q
    loss = -torch.where(_is_label(target, labels), positive, negative)
    output.copy_(_weighted(loss, target, weight))


@serve('torch')
def sigmoid_focal_loss_backward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Write the derivative of every logit's loss; arguments as forward."""
    if input.numel() == 0:
        return
    p, q, log_p, log_q = _probabilities(input)
    positive = alpha * q.pow(gamma) * (q - gamma * p * log_p)
    negative = (1 - alpha) * p.pow(gamma) * (gamma * q * log_q - p)
    labels = input.size(1)
    grad = -torch.where(_is_label(target, labels), positive, negative)
    grad_input.copy_(_weighted(grad, target, weight))


def _probabilities(logits: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return p, 1 - p and their logs, without cancellation near 0 and 1."""
    logits = widen(logits)
    log_p = logsigmoid(logits).clamp_(min=_LOG_FLOOR)
    log_q = logsigmoid(-logits).clamp_(min=_LOG_FLOOR)
    return logits.sigmoid(), (-logits).sigmoid(), log_p, log_q


def _is_label(target: Tensor, labels: int) -> Tensor:
    return target[:, None] == torch.arange(labels, device=target.device)


def _weighted(values: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    if weight.numel() == 0:
        return values
    # Background has no entry (mmcv's kernel reads behind the end): factor 1.
    labelled = (target >= 0) & (target < len(weight))
    factor = widen(weight)[target.clamp(0, len(weight) - 1)]
    return values * torch.where(labelled, factor, 1).to(values)[:, None]
