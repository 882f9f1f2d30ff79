"""Deformable convolution (DCN): forward and the two backward calls."""

import weakref

import torch
from torch import Tensor

from .deformable import Window, convolve, gradients
from .table import serve


class _Ahead:
    """A gradient of the weight, computed before it was asked for.

    Args:
        grad_weight: the gradient.
        origin: the tensors that it was computed from.
    """

    def __init__(self, grad_weight: Tensor, *origin: Tensor) -> None:
        self.grad_weight = grad_weight
        self.origin = [(weakref.ref(one), one._version) for one in origin]

    def answers(self, *origin: Tensor) -> bool:
        """Tell whether these are the same tensors, unchanged."""
        return all(
            kept() is one and version == one._version
            for (kept, version), one in zip(self.origin, origin, strict=True)
        )


def _window(
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> Window:
    """Translate the sizes by mmcv's names.

    The kernel's size is the weight's; how many images share one temporary
    (im2col_step) is the kernel's own business.
    """
    return Window(
        (dH, dW),
        (padH, padW),
        (dilationH, dilationW),
        group,
        deformable_group,
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
        input: (B, C, H, W).
        weight: (O, C / group, kH, kW).
        offset: (B, deformable_group * kH * kW * 2, H_out, W_out), map
            pixels, y and x of one kernel place side by side.
        output: (B, O, H_out, W_out), written.
        columns: left alone.
        ones: left alone.
        **sizes: mmcv's kW, kH, dW, dH (stride), padW, padH, dilationW,
            dilationH, group, deformable_group, im2col_step.
    """
    output.copy_(convolve(input, weight, offset, _window(**sizes)))


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
    """Write the gradients of the map and of the offset.

    Args:
        input: as forward.
        offset: as forward.
        grad_output: (B, O, H_out, W_out).
        grad_input: like input, written.
        grad_offset: like offset, written.
        weight: as forward.
        columns: the tensor that forward had; carries the gradient of the
            weight to ``deform_conv_backward_parameters``.
        **sizes: as forward.
    """
    found = gradients(grad_output, input, weight, offset, _window(**sizes))
    grad_input.copy_(found.input)
    grad_offset.copy_(found.offset)
    # The kernel is the dearest part of a step and gives all gradients at
    # once, while mmcv asks for them in two calls.
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
    """Add the gradient of the weight.

    Args:
        input: as forward.
        offset: as forward.
        grad_output: (B, O, H_out, W_out).
        grad_weight: (O, C / group, kH, kW), added to.
        columns: as ``deform_conv_backward_input``.
        ones: left alone.
        scale: factor of what is added.
        **sizes: as forward.
    """
    ahead = vars(columns).pop('ahead', None)
    if ahead is None or not ahead.answers(input, offset, grad_output):
        # The gradient of the weight does not depend on the weight: zeros of
        # its shape stand in.
        stand_in, window = torch.zeros_like(grad_weight), _window(**sizes)
        found = gradients(grad_output, input, stand_in, offset, window).weight
    else:
        found = ahead.grad_weight
    grad_weight.add_(found, alpha=scale)
