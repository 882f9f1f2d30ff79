"""CARAFE: upsampling by kernels that differ from pixel to pixel.

One tap of the kernels is applied to all pixels at a time, so memory grows
with the output and not with output times kernel.  The naive and the fast
operator of mmcv use a GPU differently, but compute the same.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

from .precision import widen
from .table import serve


@serve('torch')
def carafe_naive_forward(
    features: Tensor,
    masks: Tensor,
    output: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Apply to each output pixel its own kernel around the pixel below it.

    Args:
        features: the map, (B, C, H, W), 0 outside.
        masks: the kernels, (B, group_size * kernel_size ** 2, H *
            scale_factor, W * scale_factor), one for each group of channels.
        output: the result, (B, C, H * scale_factor, W * scale_factor),
            written.
        kernel_size: the rows and columns of a kernel, odd.
        group_size: the number of groups of channels.
        scale_factor: the output pixels per pixel and axis.
    """
    padded, kernels = _operands(
        features, masks, kernel_size, group_size, scale_factor
    )
    shape = (*padded.shape[:3], *kernels.shape[3:])
    total = padded.new_zeros(shape)
    for tap, pixels in _taps(padded, kernel_size):
        total.addcmul_(pixels[:, :, :, None, None], kernels[:, :, tap, None])
    output.copy_(_join(total))


@serve('torch')
def carafe_naive_backward(
    top_grad: Tensor,
    features: Tensor,
    masks: Tensor,
    bottom_grad: Tensor,
    mask_grad: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Write the gradients of features (bottom_grad) and masks (mask_grad)."""
    padded, kernels = _operands(
        features, masks, kernel_size, group_size, scale_factor
    )
    grad = _split(top_grad, group_size, scale_factor)
    padded_grad = torch.zeros_like(padded)
    kernel_grad = torch.empty_like(kernels)
    spread = dict(_taps(padded_grad, kernel_size))
    for tap, pixels in _taps(padded, kernel_size):
        spread[tap] += (grad * kernels[:, :, tap, None]).sum((3, 4))
        kernel_grad[:, :, tap] = (grad * pixels[:, :, :, None, None]).sum(2)
    radius = kernel_size // 2
    height, width = features.shape[2:]
    inner = padded_grad[..., radius : radius + height, radius : radius + width]
    bottom_grad.copy_(inner.flatten(1, 2))
    mask_grad.copy_(_join(kernel_grad))


@serve('torch')
def carafe_forward(
    features: Tensor,
    masks: Tensor,
    rfeatures: Tensor,
    routput: Tensor,
    rmasks: Tensor,
    output: Tensor,
    **sizes: int,
) -> None:
    """Do the same as ``carafe_naive_forward``; routput, rmasks are unused.

    ``mmcv.ops`` passes rfeatures to backward, instead of the features.
    """
    rfeatures.copy_(features)
    carafe_naive_forward(features, masks, output, **sizes)


@serve('torch')
def carafe_backward(
    top_grad: Tensor,
    rfeatures: Tensor,
    masks: Tensor,
    rtop_grad: Tensor,
    rbottom_grad_hs: Tensor,
    rbottom_grad: Tensor,
    rmask_grad: Tensor,
    bottom_grad: Tensor,
    mask_grad: Tensor,
    **sizes: int,
) -> None:
    """Do the same as ``carafe_naive_backward``; other buffers are unused."""
    carafe_naive_backward(
        top_grad, rfeatures, masks, bottom_grad, mask_grad, **sizes
    )


def _operands(
    features: Tensor, masks: Tensor, kernel_size: int, groups: int, scale: int
) -> tuple[Tensor, Tensor]:
    """Return the padded map and the kernels.

    Their shapes are (B, groups, channels, rows, columns) and (B, groups,
    taps, scale, scale, H, W).
    """
    border = [kernel_size // 2] * 4
    padded = pad(widen(features), border).unflatten(1, (groups, -1))
    return padded, _split(masks, groups, scale)


def _taps(padded: Tensor, kernel_size: int) -> Iterator[tuple[int, Tensor]]:
    """Yield each tap's number and the part of the padded map below it."""
    height, width = (side - kernel_size + 1 for side in padded.shape[-2:])
    for tap in range(kernel_size**2):
        top, left = divmod(tap, kernel_size)
        yield tap, padded[..., top : top + height, left : left + width]


def _split(fine: Tensor, groups: int, scale: int) -> Tensor:
    """Split channels into groups, and output pixels by their source pixel.

    The result has the shape (B, groups, channels, scale, scale, H, W).
    """
    fine = widen(fine).unflatten(1, (groups, -1))
    fine = fine.unflatten(4, (-1, scale)).unflatten(3, (-1, scale))
    return fine.permute(0, 1, 2, 4, 6, 3, 5).contiguous()


def _join(split: Tensor) -> Tensor:
    """Undo ``_split``."""
    fine = split.permute(0, 1, 2, 5, 3, 6, 4)
    return fine.flatten(5, 6).flatten(3, 4).flatten(1, 2)
