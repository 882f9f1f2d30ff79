"""Multi-scale deformable attention, level by level, from torch's sampler."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from .bilinear import gather_padded
from .precision import must_be_deterministic, widen
from .table import serve


@serve('torch')
def ms_deform_attn_forward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_loc: Tensor,
    attn_weight: Tensor,
    im2col_step: int,
) -> Tensor:
    """Sum weighted samples of the maps.

    Args:
        value: the pixels of all levels, (B, keys, heads, dims).
        spatial_shapes: the height and width of each map, (levels, 2).
        level_start_index: the first key of each map, (levels,).
        sampling_loc: the places, (B, queries, heads, levels, points, 2), x
            and y; 0 and 1 are the outer edges of a map, which is 0 outside.
        attn_weight: the weights, (B, queries, heads, levels, points).
        im2col_step: a number of images, unused: a level bounds the memory.

    Returns:
        (B, queries, heads * dims), of the type of value.
    """
    batch, _, heads, dims = value.shape
    queries = sampling_loc.size(1)
    output = widen(value).new_zeros(batch * heads, dims, queries)
    operands = (value, sampling_loc, attn_weight)
    if output.numel():
        for _, level, size in _levels(
            operands, spatial_shapes, level_start_index
        ):
            output += _attend(*level, size)
    output = output.view(batch, heads * dims, queries).transpose(1, 2)
    return output.to(value.dtype).contiguous()


@serve('torch')
def ms_deform_attn_backward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_loc: Tensor,
    attn_weight: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Write the gradients, at the values where a level has keys."""
    if grad_output.numel() == 0:
        return
    operands = (value, sampling_loc, attn_weight)
    grad_out = widen(grad_output).unflatten(2, value.shape[2:])
    grad_out = grad_out.permute(0, 2, 3, 1).flatten(0, 1)
    grads = (grad_value, grad_sampling_loc, grad_attn_weight)
    for parts, level, (height, width) in _levels(
        operands, spatial_shapes, level_start_index
    ):
        leaves = [operand.detach().requires_grad_() for operand in level]
        with torch.enable_grad():
            output = _attend(*leaves, (height, width))
        found = torch.autograd.grad(output, leaves, grad_out)
        # As compiled: no gradient from a place exactly at -1, the outer edge
        # of the padding.  Untrained offsets are whole pixels and hit it.
        place = level[1]
        pixels = place * place.new_tensor([width, height]) - 0.5
        found[1].mul_((pixels > -1).all(-1, keepdim=True))
        for grad, part, share in zip(grads, parts, found, strict=True):
            grad[part] = share.to(grad.dtype)


def _levels(
    operands: tuple[Tensor, Tensor, Tensor], shapes: Tensor, starts: Tensor
) -> Iterator[tuple[tuple, list[Tensor], tuple[int, int]]]:
    """Yield where a level is in the operands, its operands, and its size.

    Levels without keys are left out.
    """
    value, places, weights = (widen(operand) for operand in operands)
    operands = (value, places.to(value.dtype), weights)
    for number, ((height, width), start) in enumerate(
        zip(shapes.tolist(), starts.tolist(), strict=True)
    ):
        if height * width:
            keys = np.s_[:, start : start + height * width]
            parts = (keys, np.s_[:, :, :, number], np.s_[:, :, :, number])
            level = [
                one[part] for one, part in zip(operands, parts, strict=True)
            ]
            yield parts, level, (height, width)


def _attend(
    value: Tensor, place: Tensor, weight: Tensor, size: tuple[int, int]
) -> Tensor:
    """Sum the weighted samples of one level; autograd goes through it.

    Args:
        value: (B, height * width, heads, dims).
        place: (B, queries, heads, points, 2), x and y from 0 to 1.
        weight: (B, queries, heads, points).
        size: the height and width of the map.

    Returns:
        (B * heads, dims, queries).
    """
    maps = value.permute(0, 2, 3, 1).flatten(0, 1).unflatten(2, size)
    place = place.transpose(1, 2).flatten(0, 1)
    weight = weight.transpose(1, 2).flatten(0, 1)[:, None]
    if must_be_deterministic(maps):
        x, y = (place * place.new_tensor(size[::-1]) - 0.5).unbind(3)
        samples = gather_padded(maps, y.flatten(1), x.flatten(1))
        samples = samples.unflatten(2, place.shape[1:3])
    else:  # to whose grid -1 and 1 are the edges
        samples = grid_sample(maps, 2 * place - 1, align_corners=False)
    return (samples * weight).sum(3)
