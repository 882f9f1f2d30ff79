"""Deformable convolution in plain torch: its sample places, its gradients."""

from typing import NamedTuple

import torch
from torch import Tensor

from .precision import widen


class Window(NamedTuple):
    """How the kernel moves over the map; y before x in pairs."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    offset_groups: int


class Gradients(NamedTuple):
    """Gradients of the operands, shaped like them."""

    input: Tensor
    weight: Tensor
    offset: Tensor
    mask: Tensor
    bias: Tensor


def places(offset: Tensor, kernel: tuple[int, int], window: Window) -> Tensor:
    """Return where is sampled, in map pixels.

    Args:
        offset: (B, offset groups * kernel places * 2, H_out, W_out).
        kernel: rows and columns of the kernel.
        window: how the kernel moves.

    Returns:
        (B, offset groups, *kernel, 2, H_out, W_out), y before x.
    """
    axes = []
    for axis in range(2):
        out = torch.arange(offset.shape[2 + axis], device=offset.device)
        tap = torch.arange(kernel[axis], device=offset.device)
        corner = out * window.stride[axis] - window.padding[axis]
        axes.append(tap[:, None] * window.dilation[axis] + corner)
    shape = (*kernel, *offset.shape[2:])
    down = axes[0][:, None, :, None].expand(shape)
    across = axes[1][None, :, None, :].expand(shape)
    grid = torch.stack([down, across], dim=2)
    return offset.unflatten(1, (-1, *kernel, 2)) + grid


def gradients(
    grad: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    window: Window,
) -> Gradients:
    """Return the gradients of all operands, adding in a fixed order.

    Goes image by image, to keep few samples in memory; arguments as
    :func:`cbnet.compat.ops.deformable.gradients`, without mmcv's rule for
    the edge.

    Args:
        grad: as there.
        input: as there.
        weight: as there.
        offset: as there.
        mask: as there.
        window: as there.
    """
    if mask is None:
        samples = window.offset_groups * weight[0, 0].numel()
        mask = offset.new_ones(len(offset), samples, *offset.shape[2:])
    operands = [widen(one) for one in (input, weight, offset, mask)]
    totals = [torch.zeros_like(operand) for operand in operands]
    for image in range(len(input)):
        one = slice(image, image + 1)
        batched = (one, slice(None), one, one)
        leaves = [
            operand[part].detach().requires_grad_()
            for operand, part in zip(operands, batched, strict=True)
        ]
        with torch.enable_grad():
            out = _convolve(*leaves, window)
        found = torch.autograd.grad(out, leaves, grad[one])
        for total, part, share in zip(totals, batched, found, strict=True):
            total[part] += share
    return Gradients(*totals, grad.sum((0, 2, 3)))


def _convolve(
    input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor, window: Window
) -> Tensor:
    """Convolve without bias: samples (B, offset groups, taps * pixels)."""
    batch, channels, height, width = input.shape
    lead = (batch, window.offset_groups)
    pixels = input.reshape(*lead, -1, height * width)
    axes = places(offset, weight.shape[2:], window).movedim(4, 0)
    y, x = axes.reshape(2, *lead, -1)
    top, left = y.detach().floor(), x.detach().floor()
    columns = 0
    for row, share_y in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, share_x in ((left, 1 - (x - left)), (left + 1, x - left)):
            inside = (row >= 0) & (row < height)
            inside &= (column >= 0) & (column < width)
            index = row.clamp(0, height - 1) * width
            index = (index + column.clamp(0, width - 1)).long()
            share = share_y * share_x * inside * mask.reshape(*lead, -1)
            values = pixels.gather(
                3, index[:, :, None].expand(*pixels.shape[:3], -1)
            )
            columns = columns + values * share[:, :, None]
    taps = weight.reshape(window.groups, -1, weight[0].numel())
    columns = columns.reshape(batch, window.groups, taps.shape[2], -1)
    return (taps @ columns).reshape(batch, -1, *offset.shape[2:])
