"""Deformable convolution: torchvision's kernels, held to mmcv's rules.

Both compute the same, except where a sample sits exactly at -1, the outer
edge of the padding: there mmcv's gradient of the offset is zero.  Offsets
start at zero and so begin on that very edge.  Also, a sample that is nowhere
(nan) lies outside the map for mmcv, while torchvision's kernels read memory
that is not theirs.

The operands are those of :mod:`cbnet.compat.ops.deform_conv`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .bilinear import gather_padded
from .precision import must_be_deterministic, widen


class Window(NamedTuple):
    """How the kernel moves over the map; y comes before x in pairs.

    Attributes:
        stride: the steps of the kernel, in pixels.
        padding: the border of zeros around the map.
        dilation: the distances of the kernel's samples.
        groups: the groups of channels that are convolved separately.
        offset_groups: the groups of channels that have their own offsets.
    """

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    offset_groups: int


class Gradients(NamedTuple):
    """The gradients of the operands, shaped like them."""

    input: Tensor
    weight: Tensor
    offset: Tensor
    mask: Tensor
    bias: Tensor


def convolve(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    window: Window,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """Convolve the map at shifted places.

    Without a mask all factors are 1.  The result is float32 where the
    operands are narrower.
    """
    kernel, offset = torch.ops.torchvision.deform_conv2d, _somewhere(offset)
    return _call(kernel, [input, weight, offset], mask, bias, window)


def gradients(
    grad: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    window: Window,
    mask: Tensor | None = None,
) -> Gradients:
    """Return the gradients of all operands from that of the output."""
    grad, offset = widen(grad), _somewhere(widen(offset))
    # Autocast around the backward pass would narrow matrix products here.
    with torch.autocast(grad.device.type, enabled=False):
        if must_be_deterministic(grad):
            found = plain_gradients(grad, input, weight, offset, window, mask)
        else:
            kernel = torch.ops.torchvision._deform_conv2d_backward
            tensors = [grad, input, weight, offset]
            found = Gradients(*_call(kernel, tensors, mask, None, window))
    edge = _places(offset, weight.shape[2:], window) == -1
    found.offset.masked_fill_(edge.view_as(offset), 0)
    return found


def _somewhere(offset: Tensor) -> Tensor:
    """Shift samples that are nowhere, or infinitely far, outside the map."""
    return offset.nan_to_num(nan=-1e6, posinf=1e6, neginf=-1e6)


def _call(
    kernel: Callable[..., Any],
    tensors: list[Tensor],
    mask: Tensor | None,
    bias: Tensor | None,
    window: Window,
) -> Any:
    """Call a kernel of torchvision; the map, weight and shifts come last."""
    tensors = [widen(tensor) for tensor in tensors]
    input, weight, _ = tensors[-3:]
    return kernel(
        *tensors,
        input.new_zeros(len(input), 1) if mask is None else widen(mask),
        input.new_zeros(len(weight)) if bias is None else widen(bias),
        *window.stride,
        *window.padding,
        *window.dilation,
        window.groups,
        window.offset_groups,
        mask is not None,
    )


def plain_gradients(
    grad: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    window: Window,
    mask: Tensor | None,
) -> Gradients:
    """Return the gradients in plain torch, added in a fixed order.

    One image is done at a time, to keep few samples in memory.  The rule of
    ``gradients`` for the edge is not applied here.
    """
    if mask is None:
        samples = window.offset_groups * weight[0, 0].numel()
        mask = offset.new_ones(len(offset), samples, *offset.shape[2:])
    operands = [widen(one) for one in (input, weight, offset, mask)]
    totals = [torch.zeros_like(operand) for operand in operands]
    for image in range(len(input)):
        one = slice(image, image + 1)
        parts = (one, slice(None), one, one)
        leaves = [
            operand[part].detach().requires_grad_()
            for operand, part in zip(operands, parts, strict=True)
        ]
        with torch.enable_grad():
            out = _plain_convolve(*leaves, window)
        found = torch.autograd.grad(out, leaves, grad[one])
        for total, part, share in zip(totals, parts, found, strict=True):
            total[part] += share
    return Gradients(*totals, grad.sum((0, 2, 3)))


def _plain_convolve(
    input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor, window: Window
) -> Tensor:
    lead = len(input) * window.offset_groups
    places = _places(offset, weight.shape[2:], window).movedim(4, 0)
    y, x = places.reshape(2, lead, -1)
    maps = input.reshape(lead, -1, *input.shape[2:])
    columns = gather_padded(maps, y, x, mask.reshape(lead, -1))
    taps = weight.reshape(window.groups, -1, weight[0].numel())
    shape = (len(input), window.groups, taps.shape[2], -1)
    out = taps @ columns.reshape(shape)
    return out.reshape(len(input), -1, *offset.shape[2:])


def _places(offset: Tensor, kernel: tuple[int, int], window: Window) -> Tensor:
    """Return where the map is sampled, in map pixels.

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
