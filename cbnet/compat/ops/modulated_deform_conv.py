"""Modulated deformable convolution (DCNv2), forward and backward."""

from torch import Tensor

from .deformable import Window, convolve, gradients
from .table import serve


def _window(
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
) -> Window:
    """Translate the sizes by mmcv's names; the kernel's is the weight's."""
    return Window(
        (stride_h, stride_w),
        (pad_h, pad_w),
        (dilation_h, dilation_w),
        group,
        deformable_group,
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
        input: (B, C, H, W).
        weight: (O, C / group, kernel_h, kernel_w).
        bias: (O,), or anything without with_bias.
        ones: left alone.
        offset: (B, deformable_group * kernel_h * kernel_w * 2, H_out,
            W_out), map pixels, y and x of one kernel place side by side.
        mask: (B, deformable_group * kernel_h * kernel_w, H_out, W_out).
        output: (B, O, H_out, W_out), written.
        columns: left alone.
        with_bias: whether there is a bias.
        **sizes: mmcv's kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w,
            dilation_h, dilation_w, group, deformable_group.
    """
    window = _window(**sizes)
    bias = bias if with_bias else None
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
    """Write the gradient of each operand; other arguments as forward.

    Args:
        input: as forward.
        weight: as forward.
        bias: as forward.
        ones: left alone.
        offset: as forward.
        mask: as forward.
        columns: left alone.
        grad_input: like input, written.
        grad_weight: like weight, written.
        grad_bias: like bias, written with with_bias.
        grad_offset: like offset, written.
        grad_mask: like mask, written.
        grad_output: (B, O, H_out, W_out).
        with_bias: as forward.
        **sizes: as forward.
    """
    window = _window(**sizes)
    found = gradients(grad_output, input, weight, offset, window, mask)
    grad_input.copy_(found.input)
    grad_weight.copy_(found.weight)
    grad_offset.copy_(found.offset)
    grad_mask.copy_(found.mask)
    if with_bias:
        grad_bias.copy_(found.bias)
