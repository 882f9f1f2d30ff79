"""Sigmoid and softmax focal loss of integer labels, forward and backward."""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ...errors import UserValueError
from .precision import widen
from .table import serve

# mmcv's kernel takes log(max(p, FLT_MIN)) whatever the type of p.
_TINY = torch.finfo(torch.float32).tiny
_LOG_FLOOR = math.log(_TINY)


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
        input: the logits, (N, C).
        target: the labels, (N,), int64; C (or a negative one) is background.
        weight: the factors of the rows of each label, (C,); empty: none.
        output: the losses, (N, C), written.
        gamma: the exponent of the modulating factor.
        alpha: the weight of the positives; 1 - alpha is the negatives'.

    Raises:
        ValueError: a label is greater than C.
    """
    if input.numel() == 0:
        return
    labels = input.size(1)
    _check_labels(target, labels, f'the background label of {labels} classes')
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
    """Write the derivative of every logit's loss by the logit."""
    if input.numel() == 0:
        return
    p, q, log_p, log_q = _probabilities(input)
    positive = alpha * q.pow(gamma) * (q - gamma * p * log_p)
    negative = (1 - alpha) * p.pow(gamma) * (gamma * q * log_q - p)
    labels = input.size(1)
    grad = -torch.where(_is_label(target, labels), positive, negative)
    grad_input.copy_(_weighted(grad, target, weight))


@serve('torch')
def softmax_focal_loss_forward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    output: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Write the loss of every row.

    Args:
        input: the probabilities, (N, C): ``mmcv.ops`` takes the softmax.
        target: the labels, (N,), int64; the loss of a negative one is 0.
        weight: the factors of the rows of each label, (C,); empty: none.
        output: the losses, (N,), written.
        gamma: the exponent of the modulating factor.
        alpha: the factor of all losses.

    Raises:
        ValueError: a label is C or greater.
    """
    if input.numel() == 0:
        return
    _check_labels(target, input.size(1) - 1, f'{input.size(1)} columns')
    _, q, log_p = _of_label(input, target)
    loss = -alpha * q.pow(gamma) * log_p * (target >= 0)
    output.copy_(_weighted(loss[:, None], target, weight)[:, 0])


@serve('torch')
def softmax_focal_loss_backward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    buff: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Write the derivative of every row's loss by its logits.

    buff, (N,), becomes the derivative by the label's logit, divided by the
    probability of all other labels.
    """
    if input.numel() == 0:
        return
    p, q, log_p = _of_label(input, target)
    # log p / q tends to -1: a certain row has no loss, whatever gamma is.
    ratio = torch.where(q > 0, log_p / q, -1)
    slope = alpha * q.pow(gamma) * (gamma * p * ratio - 1) * (target >= 0)
    slope = _weighted(slope[:, None], target, weight)
    buff.copy_(slope[:, 0])
    hit = _is_label(target, input.size(1))
    grad_input.copy_(slope * (hit.to(slope) - widen(input)))


def _check_labels(target: Tensor, highest: int, why: str) -> None:
    found = int(target.max())
    if found > highest:
        raise UserValueError(
            f'focal_loss: target holds the label {found}, expected '
            f'at most {highest} ({why}); '
            "check num_classes against the data set's categories"
        )


def _of_label(
    probabilities: Tensor, target: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return p of each row's label, 1 - p and log p, (N,) each."""
    column = target.clamp(min=0)[:, None]
    p = widen(probabilities).gather(1, column).squeeze(1)
    return p, 1 - p, p.clamp(min=_TINY).log()


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
    # Background has no entry, so its factor is 1 (mmcv's kernel reads past
    # the end).
    labelled = (target >= 0) & (target < len(weight))
    factor = widen(weight)[target.clamp(0, len(weight) - 1)]
    return values * torch.where(labelled, factor, 1).to(values)[:, None]
