"""Deformable RoI pooling: averages over bins that offsets move.

Gradients are those of what forward computes.  The compiled operator's
differ for samples in the half pixel along the edges of a map: there it
extrapolates, while the value it returns stands still.
"""

import torch
from torch import Tensor

from .precision import widen
from .roi_samples import (
    Axis,
    Bins,
    chunks,
    corners,
    divide,
    interpolate,
    scatter,
    visit,
)
from .table import serve


@serve('torch')
def deform_roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    output: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """Average the samples of each moved bin.

    Args:
        input: (B, C, H, W).
        rois: (K, 5), index into B and xyxy in input pixels.
        offset: (K, 2, pooled_height, pooled_width), x and y, in sides of the
            region times gamma; or empty: bins stay where they are.
        output: (K, C, pooled_height, pooled_width), written.
        pooled_height: bins down a region.
        pooled_width: bins across a region.
        spatial_scale: map pixels per input pixel.
        sampling_ratio: samples per bin and axis; 0: one per map pixel.
        gamma: scale of the offsets.
    """
    if output.numel() == 0:
        return
    features = widen(input)
    bins, (down, across) = _bins(
        features,
        rois,
        offset,
        output.shape[2:],
        spatial_scale,
        sampling_ratio,
        gamma,
    )
    channels, height, width = features.shape[1:]
    # One row a map pixel, so that a sample reads whole rows.
    pixels = features.permute(0, 2, 3, 1).reshape(-1, channels)
    for chunk in chunks(len(output), output[0].numel()):
        part = bins.part(chunk)
        shape = (len(part.image), *bins.size, channels)
        total = features.new_zeros(shape)
        for rows, y, x in visit(part):
            y = interpolate(y[:, :, None] + down[chunk][rows], height)
            x = interpolate(x[:, None] + across[chunk][rows], width)
            first = part.image[rows] * height * width
            total[rows] += _read(pixels, first, y, x, width)
        total = total.permute(0, 3, 1, 2) / _count(part)
        output[chunk] = total.to(output.dtype)


@serve('torch')
def deform_roi_pool_backward(
    grad_output: Tensor,
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """Add the gradients of the map and write those of the offsets.

    Args:
        grad_output: (K, C, pooled_height, pooled_width).
        input: as forward.
        rois: as forward.
        offset: as forward.
        grad_input: like input, added to.
        grad_offset: like offset, written.
        pooled_height: as forward, like all that follow.
        pooled_width: bins across a region.
        spatial_scale: map pixels per input pixel.
        sampling_ratio: samples per bin and axis; 0: one per map pixel.
        gamma: scale of the offsets.
    """
    if grad_output.numel() == 0:
        return
    features, grad = widen(input), widen(grad_output)
    bins, (down, across) = _bins(
        features,
        rois,
        offset,
        grad.shape[2:],
        spatial_scale,
        sampling_ratio,
        gamma,
    )
    channels, height, width = features.shape[1:]
    pixels = features.permute(0, 2, 3, 1).reshape(-1, channels)
    grad_map = grad.new_zeros(features.shape)
    grad_shift = grad.new_zeros(len(rois), 2, *bins.size)
    for chunk in chunks(len(grad), grad[0].numel()):
        part = bins.part(chunk)
        shared = grad[chunk] / _count(part)
        for rows, y, x in visit(part):
            y = y[:, :, None] + down[chunk][rows]
            x = x[:, None] + across[chunk][rows]
            cotangent = shared[rows]
            image = part.image[rows]
            scatter(grad_map, cotangent, image, y[:, None], x[:, None])
            if not offset.numel():
                continue
            axes = interpolate(y, height), interpolate(x, width)
            first, last = image * height * width, cotangent.movedim(1, 3)
            for number, slope in (
                (0, (axes[0], _slope(x, axes[1], width))),
                (1, (_slope(y, axes[0], height), axes[1])),
            ):
                rise = _read(pixels, first, *slope, width)
                grad_shift[chunk][rows, number] += (rise * last).sum(3)
    grad_input.add_(grad_map)
    if offset.numel():
        grad_offset.copy_(grad_shift * _reach(bins, gamma))


def _bins(
    features: Tensor,
    rois: Tensor,
    offset: Tensor,
    size: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> tuple[Bins, tuple[Tensor, Tensor]]:
    """Return the bins, and by how much each moves down and across, (K, *size)
    or something that expands to it.
    """
    rois = rois.to(features.dtype)
    bins = divide(rois, tuple(size), spatial_scale, sampling_ratio, True)
    if offset.numel():
        shift = offset.to(features.dtype) * _reach(bins, gamma)
        return bins, (shift[:, 1], shift[:, 0])
    still = rois.new_zeros(len(rois), 1, 1)
    return bins, (still, still)


def _reach(bins: Bins, gamma: float) -> Tensor:
    """Return map pixels per offset across and down, (K, 2, 1, 1)."""
    sides = [bins.side[axis] * bins.size[axis] for axis in (1, 0)]
    return gamma * torch.stack(sides, 1)[:, :, None, None]


def _count(bins: Bins) -> Tensor:
    down, across = bins.samples
    return (down * across).clamp(min=1)[:, None, None, None]


def _read(
    pixels: Tensor, first: Tensor, y: Axis, x: Axis, width: int
) -> Tensor:
    """Sum the weighted neighbours, (k, bins down, bins across, C).

    Args:
        pixels: (B * H * W, C).
        first: (k,), where the image of each region begins in pixels.
        y: neighbours and weights, (k, bins down, bins across).
        x: like y.
        width: of the map.
    """
    total = 0
    for place, weight in corners(y, x, width):
        values = pixels[first[:, None, None] + place]
        total = total + weight[..., None] * values
    return total


def _slope(place: Tensor, axis: Axis, length: int) -> Axis:
    """Weigh the neighbours by the derivative instead of the value."""
    # Beyond the outer pixels' centres the value stands still.
    moves = ((place >= 0) & (place <= length - 1)).to(place)
    return axis._replace(weights=(-moves, moves))
