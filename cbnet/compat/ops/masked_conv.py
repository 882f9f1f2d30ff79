"""Masked convolution: only marked places are gathered and written."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from ...errors import UserValueError
from .table import serve


@serve('torch')
def masked_im2col_forward(
    im: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    col: Tensor,
    kernel_h: int,
    kernel_w: int,
    pad_h: int,
    pad_w: int,
) -> None:
    """Gather the pixels that the kernel covers at each marked place.

    Args:
        im: the map, (1, C, H, W).
        mask_h_idx: the rows of the places, (M,), int64.
        mask_w_idx: the columns of the places, (M,), int64.
        col: the covered pixels, (C * kernel_h * kernel_w, M), written; 0
            outside the map.
        kernel_h: the rows of the kernel.
        kernel_w: the columns of the kernel.
        pad_h: the rows above a place that the kernel covers.
        pad_w: the columns left of a place that the kernel covers.
    """
    below, right = max(kernel_h - 1 - pad_h, 0), max(kernel_w - 1 - pad_w, 0)
    padded = pad(im[0], (pad_w, right, pad_h, below))
    rows = mask_h_idx + torch.arange(kernel_h, device=im.device)[:, None]
    columns = mask_w_idx + torch.arange(kernel_w, device=im.device)[:, None]
    patches = padded[:, rows[:, None], columns[None]]
    col.copy_(patches.reshape(col.shape))


@serve('torch')
def masked_col2im_forward(
    col: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    im: Tensor,
    height: int,
    width: int,
    channels: int,
) -> None:
    """Write the values of the marked places into a map.

    Args:
        col: the values, (channels, M).
        mask_h_idx: the rows of the places, (M,), int64.
        mask_w_idx: the columns of the places, (M,), int64.
        im: the map, (1, channels, height, width), written at the places.
        height: the rows of the map.
        width: the columns of the map.
        channels: the channels of the map.

    Raises:
        ValueError: a place is outside the map.
    """
    outside = (mask_h_idx >= height) | (mask_w_idx >= width)
    if outside.any():
        raise UserValueError(
            'masked_conv2d: the mask marks a place outside the output of '
            f'{height} x {width} pixels; pad by half the kernel, so that the '
            'output is as large as the input and its mask'
        )
    im[0][:, mask_h_idx, mask_w_idx] = col.to(im.dtype)
