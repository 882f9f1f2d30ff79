"""Deformable RoI pooling: averages over bins that offsets move.

Gradients are those of what forward computes.  The compiled operator's
differ for samples in the half pixel along the edges of a map: there it
extrapolates, while the value it returns is constant.
"""

import torch
from torch import Tensor

from .bilinear import Axis, ClampedMap, scatter
from .precision import widen
from .roi_samples import Bins, chunks, divide
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
        input: the map, (B, C, H, W).
        rois: the regions, (K, 5), index into B and xyxy in input pixels.
        offset: the shifts of bins, (K, 2, pooled_height, pooled_width), x
            and y, in sides of the region times gamma; empty: no shift.
        output: the averages, (K, C, pooled_height, pooled_width), written.
        pooled_height: the bins down a region.
        pooled_width: the bins across a region.
        spatial_scale: the map pixels per input pixel.
        sampling_ratio: the samples per bin and axis; 0: one per map pixel.
        gamma: the scale of the offsets.
    """
    if output.numel() == 0:
        return
    features, size = widen(input), (pooled_height, pooled_width)
    rois = rois.to(features.dtype)
    bins = divide(rois, size, spatial_scale, sampling_ratio, True)
    down, across = _shifts(bins, offset, gamma)
    source = ClampedMap(features)
    for chunk in chunks(output):
        part = bins.part(chunk)
        shape = (len(part.image), *size, features.size(1))
        total = features.new_zeros(shape)
        for rows, y, x in part.visit():
            y = y[:, :, None] + down[chunk][rows]
            x = x[:, None] + across[chunk][rows]
            total[rows] += source.read(part.image[rows], *source.axes(y, x))
        total = total.permute(0, 3, 1, 2) / part.count().clamp(min=1)
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
    """Add to the gradient of the input and write that of the offset.

    The other arguments are those of forward.
    """
    if grad_output.numel() == 0:
        return
    features, grad = widen(input), widen(grad_output)
    size = (pooled_height, pooled_width)
    rois = rois.to(features.dtype)
    bins = divide(rois, size, spatial_scale, sampling_ratio, True)
    down, across = _shifts(bins, offset, gamma)
    source = ClampedMap(features)
    grad_map = grad.new_zeros(features.shape)
    grad_shift = grad.new_zeros(len(rois), 2, *size)
    for chunk in chunks(grad):
        part = bins.part(chunk)
        shared = grad[chunk] / part.count().clamp(min=1)
        for rows, y, x in part.visit():
            y = y[:, :, None] + down[chunk][rows]
            x = x[:, None] + across[chunk][rows]
            image, cotangent = part.image[rows], shared[rows]
            scatter(grad_map, cotangent, image, y[:, None], x[:, None])
            if not offset.numel():
                continue
            axes, last = source.axes(y, x), cotangent.movedim(1, 3)
            for number, slope in (
                (0, (axes[0], _slope(x, axes[1], source.width))),
                (1, (_slope(y, axes[0], source.height), axes[1])),
            ):
                rise = source.read(image, *slope)
                grad_shift[chunk][rows, number] += (rise * last).sum(3)
    grad_input.add_(grad_map)
    if offset.numel():
        grad_offset.copy_(grad_shift * _reach(bins, gamma))


def _shifts(bins: Bins, offset: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """Return by how much bins move down and across, in map pixels.

    Each is (K, *size), or (K, 1, 1) if nothing moves.
    """
    if offset.numel():
        shift = offset.to(bins.side[0].dtype) * _reach(bins, gamma)
        return shift[:, 1], shift[:, 0]
    still = torch.zeros_like(bins.side[0])[:, None, None]
    return still, still


def _reach(bins: Bins, gamma: float) -> Tensor:
    """Return map pixels per offset across and down, (K, 2, 1, 1)."""
    sides = [bins.side[axis] * bins.size[axis] for axis in (1, 0)]
    return gamma * torch.stack(sides, 1)[:, :, None, None]


def _slope(place: Tensor, axis: Axis, length: int) -> Axis:
    """Weigh the neighbours by the derivative instead of the value."""
    # Beyond the outer pixels' centres the value is constant.
    moves = ((place >= 0) & (place <= length - 1)).to(place)
    return axis._replace(weights=(-moves, moves))
