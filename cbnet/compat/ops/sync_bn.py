"""Synchronised batch normalisation: the steps of one process.

``mmcv.ops`` sums over the processes between these steps.  Maps are
(N, C, pixels); statistics are (C,), in float32 or wider.
"""

from torch import Tensor

from .precision import widen
from .table import serve


@serve('torch')
def sync_bn_forward_mean(input: Tensor, mean: Tensor) -> None:
    """Write the mean of each channel of this process's maps."""
    mean.copy_(widen(input).mean((0, 2)))


@serve('torch')
def sync_bn_forward_var(input: Tensor, mean: Tensor, var: Tensor) -> None:
    """Write the mean squared distance to the mean of all processes."""
    var.copy_((widen(input) - mean[:, None]).square().mean((0, 2)))


@serve('torch')
def sync_bn_forward_output(
    input: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    norm: Tensor,
    std: Tensor,
    output: Tensor,
    eps: float,
    momentum: float | Tensor,
    group_size: int,
) -> None:
    """Normalise this process's maps and move the running statistics.

    Args:
        input: the maps, (N, C, pixels).
        mean: the mean of all processes, (C,).
        var: the biased variance of all processes, (C,).
        weight: the scale, (C,); None: 1.
        bias: the shift, (C,); None: 0.
        running_mean: a statistic, moved towards the mean; None: no
            statistics are kept.
        running_var: a statistic, moved towards the unbiased variance.
        norm: the normalised maps before weight and bias, like input in
            float32, written.
        std: the standard deviation, (C,), written.
        output: the result, like input, written.
        eps: a summand of the variance.
        momentum: the share of the new statistics; a tensor of one number
            need not be fetched from its device.
        group_size: the number of processes; each is taken to have as many
            pixels as this one.
    """
    std.copy_((var + eps).sqrt())
    norm.copy_((widen(input) - mean[:, None]) / std[:, None])
    scaled = norm if weight is None else norm * weight[:, None]
    output.copy_(scaled if bias is None else scaled + bias[:, None])
    if running_mean is None:
        return
    count = input.size(0) * input.size(2) * group_size
    unbiased = var * count / (count - 1) if count > 1 else var
    for running, new in ((running_mean, mean), (running_var, unbiased)):
        running.copy_(momentum * new + (1 - momentum) * running)


@serve('torch')
def sync_bn_backward_param(
    grad_output: Tensor, norm: Tensor, grad_weight: Tensor, grad_bias: Tensor
) -> None:
    """Write this process's share of the gradients of weight and bias."""
    grad = widen(grad_output)
    grad_weight.copy_((grad * norm).sum((0, 2)))
    grad_bias.copy_(grad.sum((0, 2)))


@serve('torch')
def sync_bn_backward_data(
    grad_output: Tensor,
    weight: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    norm: Tensor,
    std: Tensor,
    grad_input: Tensor,
) -> None:
    """Write the gradient of this process's maps.

    grad_weight and grad_bias are means over the processes; norm and std are
    what ``sync_bn_forward_output`` wrote.
    """
    pixels = norm.size(0) * norm.size(2)
    through_statistics = grad_weight[:, None] * norm + grad_bias[:, None]
    grad = widen(grad_output) - through_statistics / pixels
    grad_input.copy_(grad * (weight / std)[:, None])
