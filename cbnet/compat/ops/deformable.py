"""Deformable convolution: torchvision's kernels, held to mmcv's rules.

Both compute one thing, except where a sample sits exactly at -1, the outer
edge of the padding: there mmcv stops the gradient of the offset.  Offsets
start at zero and so begin on that very edge.
"""

from collections.abc import Callable

import torch
import torchvision  # noqa: F401 (defines torch.ops.torchvision)
from torch import Tensor

from . import deformable_plain as plain
from .deformable_plain import Gradients, Window
from .precision import widen


def convolve(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    window: Window,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """Convolve the map at shifted places.

    Args:
        input: (B, C, H, W).
        weight: (O, C / groups, kernel height, kernel width).
        offset: (B, offset groups * kernel places * 2, H_out, W_out), map
            pixels, y and x of one kernel place side by side.
        window: how the kernel moves.
        mask: (B, offset groups * kernel places, H_out, W_out), a factor for
            every sample; None: 1.
        bias: (O,); None: 0.

    Returns:
        (B, O, H_out, W_out), float32 where the operands are narrower.
    """
    operands = (input, weight, offset, mask, bias)
    return _call(torch.ops.torchvision.deform_conv2d, operands, window)


def gradients(
    grad: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    window: Window,
    mask: Tensor | None = None,
) -> Gradients:
    """Return the gradients of all operands; arguments as ``convolve``.

    Args:
        grad: (B, O, H_out, W_out), of the output.
        input: as there.
        weight: as there.
        offset: as there.
        window: as there.
        mask: as there.
    """
    grad, offset = widen(grad), widen(offset)
    operands = (input, weight, offset, mask, None)
    # Matrix products inside would otherwise be narrowed, if somebody goes
    # backward under autocast.
    with torch.autocast(grad.device.type, enabled=False):
        if _must_be_deterministic(grad):
            # torchvision's kernel adds atomically: some versions refuse this
            # mode, others break its promise.
            found = plain.gradients(grad, *operands[:4], window)
        else:
            kernel = torch.ops.torchvision._deform_conv2d_backward
            found = Gradients(*_call(kernel, (grad, *operands), window))
    edge = plain.places(offset, weight.shape[2:], window) == -1
    found.offset.masked_fill_(edge.view_as(offset), 0)
    return found


def _must_be_deterministic(grad: Tensor) -> bool:
    return grad.is_cuda and torch.are_deterministic_algorithms_enabled()


def _call(
    kernel: Callable[..., Tensor | tuple[Tensor, ...]],
    operands: tuple[Tensor | None, ...],
    window: Window,
) -> Tensor | tuple[Tensor, ...]:
    """Call a kernel of torchvision; operands end with mask and bias."""
    *tensors, mask, bias = operands
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
