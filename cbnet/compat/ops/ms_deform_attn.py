"""Multi-scale deformable attention, level by level, from torch's sampler."""

from collections.abc import Iterator
from typing import NamedTuple

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
        for level in _levels(operands, spatial_shapes, level_start_index):
            samples = sample(level.map, level.grid)
            output += (samples * level.weight).sum(3)
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
    """Write the gradients of values, places and weights.

    That of the values is written where a level has keys.  The other
    arguments are those of forward.
    """
    if grad_output.numel() == 0:
        return
    batch, _, heads, dims = value.shape
    lead = (batch, heads)
    grad = widen(grad_output).unflatten(2, (heads, dims))
    grad = grad.permute(0, 2, 3, 1).flatten(0, 1)[..., None]
    operands = (value, sampling_loc, attn_weight)
    for level in _levels(operands, spatial_shapes, level_start_index):
        leaves = [
            part.detach().requires_grad_() for part in (level.map, level.grid)
        ]
        with torch.enable_grad():
            samples = sample(*leaves)
        grad_map, grad_grid = torch.autograd.grad(
            samples, leaves, grad * level.weight
        )
        # As compiled: no gradient from a place exactly at -1, the outer edge
        # of the padding.  Untrained offsets are whole pixels and hit it.
        grad_grid *= (level.pixels > -1).all(3, keepdim=True)
        grad_value[:, level.keys] = (
            grad_map.unflatten(0, lead).flatten(3).permute(0, 3, 1, 2)
        ).to(grad_value.dtype)
        # The grid runs from -1 to 1, places from 0 to 1.
        grad_sampling_loc[:, :, :, level.number] = (
            (2 * grad_grid.unflatten(0, lead)).transpose(1, 2)
        ).to(grad_sampling_loc.dtype)
        grad_attn_weight[:, :, :, level.number] = (
            (samples * grad).sum(1).unflatten(0, lead).transpose(1, 2)
        ).to(grad_attn_weight.dtype)


class _Level(NamedTuple):
    """One map and where it is sampled; N is batch * heads."""

    number: int
    keys: slice
    map: Tensor  # (N, dims, height, width)
    grid: Tensor  # (N, queries, points, 2), as grid_sample wants it
    pixels: Tensor  # like grid, in pixels
    weight: Tensor  # (N, 1, queries, points)


def _levels(
    operands: tuple[Tensor, Tensor, Tensor], shapes: Tensor, starts: Tensor
) -> Iterator[_Level]:
    """Yield the levels that have keys; operands as passed to forward."""
    value, places, weights = (widen(operand) for operand in operands)
    places = places.to(value.dtype)
    for number, ((height, width), start) in enumerate(
        zip(shapes.tolist(), starts.tolist(), strict=True)
    ):
        if height * width == 0:
            continue
        keys = slice(start, start + height * width)
        pixels = value[:, keys].permute(0, 2, 3, 1).flatten(0, 1)
        place = places[:, :, :, number].transpose(1, 2).flatten(0, 1)
        weight = weights[:, :, :, number].transpose(1, 2).flatten(0, 1)
        yield _Level(
            number,
            keys,
            pixels.unflatten(2, (height, width)),
            2 * place - 1,
            place * place.new_tensor([width, height]) - 0.5,
            weight[:, None],
        )


def sample(maps: Tensor, grid: Tensor) -> Tensor:
    """Read maps at the places of a grid.

    Args:
        maps: (N, dims, H, W).
        grid: (N, queries, points, 2), x and y; -1 and 1 are the edges.

    Returns:
        (N, dims, queries, points).
    """
    if not must_be_deterministic(maps):
        return grid_sample(maps, grid, align_corners=False)
    height, width = maps.shape[2:]
    x, y = ((grid + 1) * grid.new_tensor([width, height]) - 1).unbind(3)
    samples = gather_padded(maps, y.flatten(1) / 2, x.flatten(1) / 2)
    return samples.unflatten(2, grid.shape[1:3])
