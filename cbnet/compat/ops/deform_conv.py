"""Deformable convolution (DCN) and its modulated form (DCNv2).

mmcv passes the kernel's movement in keywords: ``dW`` and ``dH`` or
``stride_w`` and ``stride_h``, and so on.  The kernel's size is the weight's.
"""

import weakref

import torch
from torch import Tensor

from .deformable import Window, convolve, gradients
from .table import serve


def _window(sizes: dict[str, int]) -> Window:
    """Translate mmcv's keywords; the modulated form has the longer names."""
    names = ('dH', 'dW', 'padH', 'padW', 'dilationH', 'dilationW')
    if 'stride_h' in sizes:
        names = (
            'stride_h', 'stride_w', 'pad_h', 'pad_w', 'dilation_h',
            'dilation_w',
        )  # fmt: skip
    pairs = [sizes[name] for name in names]
    return Window(
        *zip(pairs[::2], pairs[1::2], strict=True),
        sizes['group'],
        sizes['deformable_group'],
    )


@serve('torchvision')
def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    **sizes: int,
) -> None:
    """Convolve the map at shifted places.

    Args:
        input: the map, (B, C, H, W).
        weight: the kernel, (O, C / group, kH, kW).
        offset: the shifts, (B, deformable_group * kH * kW * 2, H_out,
            W_out), in map pixels, y and x of one kernel place side by side.
        output: the result, (B, O, H_out, W_out), written.
        columns: a buffer of the compiled operator, unused.
        ones: a buffer of the compiled operator, unused.
        **sizes: the kernel's size and movement: kW, kH, dW, dH (the stride),
            padW, padH, dilationW, dilationH, group, deformable_group; and
            im2col_step, unused.
    """
    output.copy_(convolve(input, weight, offset, _window(sizes)))


@serve('torchvision')
def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    **sizes: int,
) -> None:
    """Write the gradients of the input and of the offset.

    The buffer ``columns`` carries the gradient of the weight to
    ``deform_conv_backward_parameters``: the kernel is the most expensive
    part of a step and computes all gradients at once, while mmcv asks for
    them in two calls.  The other arguments are those of forward.
    """
    found = gradients(grad_output, input, weight, offset, _window(sizes))
    grad_input.copy_(found.input)
    grad_offset.copy_(found.offset)
    columns.ahead = _Ahead(found.weight, input, offset, grad_output)


@serve('torchvision')
def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    scale: float,
    **sizes: int,
) -> None:
    """Add ``scale`` times the gradient of the weight to grad_weight.

    The other arguments are those of forward.
    """
    ahead = vars(columns).pop('ahead', None)
    if ahead is not None and ahead.answers(input, offset, grad_output):
        found = ahead.grad_weight
    else:
        # It does not depend on the weight: zeros of its shape will do.
        zeros, window = torch.zeros_like(grad_weight), _window(sizes)
        found = gradients(grad_output, input, zeros, offset, window).weight
    grad_weight.add_(found, alpha=scale)


class _Ahead:
    """A gradient of the weight that was computed before it was asked for.

    Args:
        grad_weight: the gradient.
        origin: the tensors from which it was computed.
    """

    def __init__(self, grad_weight: Tensor, *origin: Tensor) -> None:
        self.grad_weight = grad_weight
        self.origin = [(weakref.ref(one), one._version) for one in origin]

    def answers(self, *origin: Tensor) -> bool:
        """Say whether these are the same tensors, unchanged."""
        return all(
            kept() is one and version == one._version
            for (kept, version), one in zip(self.origin, origin, strict=True)
        )


@serve('torchvision')
def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    with_bias: bool,
    **sizes: int,
) -> None:
    """Convolve the map at shifted places, each weighted by the mask.

    Args:
        input: the map, (B, C, H, W).
        weight: the kernel, (O, C / group, kernel_h, kernel_w).
        bias: the bias, (O,); anything without with_bias.
        ones: a buffer of the compiled operator, unused.
        offset: the shifts, (B, deformable_group * kernel_h * kernel_w * 2,
            H_out, W_out), as in ``deform_conv_forward``.
        mask: the factors, (B, deformable_group * kernel_h * kernel_w, H_out,
            W_out).
        output: the result, (B, O, H_out, W_out), written.
        columns: a buffer of the compiled operator, unused.
        with_bias: whether there is a bias.
        **sizes: the kernel's size and movement: kernel_h, kernel_w,
            stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group
            and deformable_group.
    """
    bias = bias if with_bias else None
    window = _window(sizes)
    output.copy_(convolve(input, weight, offset, window, mask, bias))


@serve('torchvision')
def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    with_bias: bool,
    **sizes: int,
) -> None:
    """Write the gradient of each operand; that of the bias if there is one.

    The other arguments are those of forward.
    """
    window = _window(sizes)
    found = gradients(grad_output, input, weight, offset, window, mask)
    grad_input.copy_(found.input)
    grad_weight.copy_(found.weight)
    grad_offset.copy_(found.offset)
    grad_mask.copy_(found.mask)
    if with_bias:
        grad_bias.copy_(found.bias)
