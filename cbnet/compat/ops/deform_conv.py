"""Deformable convolution (DCN) and its modulated form (DCNv2).

The operands have mmcv's names:

* ``input`` (B, C, H, W), the map, and ``weight`` (O, C / group, kH, kW), the
  kernel;
* ``offset`` (B, deformable_group * kH * kW * 2, H_out, W_out), the shifts in
  map pixels, y and x of one kernel place side by side;
* ``mask`` (B, deformable_group * kH * kW, H_out, W_out), a factor for every
  sample, and ``bias`` (O,), read if ``with_bias``; in the modulated form,
  ``offset`` and ``mask`` may be those of a finer map (see ``_as_read``);
* ``output`` (B, O, H_out, W_out), written; gradients are shaped like their
  operands;
* ``columns`` and ``ones``, buffers of the compiled operators;
* ``sizes``, the kernel's size and movement.
"""

import weakref

import torch
from torch import Tensor
from torch.nn.functional import pad

from ...errors import UserValueError
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
    """Write the map convolved at shifted places."""
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
    them in two calls.
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
    """Add ``scale`` times the gradient of the weight to grad_weight."""
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
    """Write the map convolved at shifted places, weighted by the mask."""
    bias = bias if with_bias else None
    window = _window(sizes)
    offset, mask = (_as_read(one, output) for one in (offset, mask))
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
    """Write the gradient of each operand; that of the bias if there is one."""
    window = _window(sizes)
    offset, mask = (_as_read(one, grad_output) for one in (offset, mask))
    found = gradients(grad_output, input, weight, offset, window, mask)
    grad_input.copy_(found.input)
    grad_weight.copy_(found.weight)
    grad_offset.copy_(_as_written(found.offset, grad_offset))
    grad_mask.copy_(_as_written(found.mask, grad_mask))
    if with_bias:
        grad_bias.copy_(found.bias)


def _as_read(operand: Tensor, output: Tensor) -> Tensor:
    """Read an image's first numbers as if they were those of the output.

    That is how the compiled operator reads the shifts and factors of a finer
    map, and DyHead hands them over: its convolution of the next coarser level
    is trained with places mixed up in this way.

    Args:
        operand: shifts or factors (B, C, H, W).
        output: what has the size of the output (B, O, H_out, W_out).

    Returns:
        (B, C, H_out, W_out).

    Raises:
        ValueError: there are fewer numbers, and the compiled operator would
            read memory that is not theirs.
    """
    size = output.shape[2:]
    if operand.shape[2:] == size:
        return operand
    numbers = operand.flatten(1)
    count = operand.shape[1] * size.numel()
    if numbers.shape[1] < count:
        raise UserValueError(
            f'a modulated deformable convolution (DCNv2) of {_words(size)} '
            f'places was given the offsets or the mask of '
            f'{_words(operand.shape[2:])}; expected as many, or those of a '
            f'finer map'
        )
    return numbers[:, :count].reshape(len(operand), -1, *size)


def _as_written(found: Tensor, operand: Tensor) -> Tensor:
    """Put gradients at the numbers that ``_as_read`` has read."""
    rest = operand[:1].numel() - found[:1].numel()
    return pad(found.flatten(1), (0, rest)).view(operand.shape)


def _words(size: torch.Size) -> str:
    return ' x '.join(map(str, size))
