"""Deformable RoI pooling: averages over bins that offsets move.

Gradients are those of what forward computes.  The compiled operator's
differ for samples in the half pixel along the edges of a map: there it
extrapolates, while the value it returns is constant.
"""

import torch
from torch import Tensor

from .bilinear import ClampedMap, scatter
from .precision import widen
from .roi_samples import Bins, divide
from .table import serve


@serve('torch')
def deform_roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    output: Tensor,
    **pooling: float,
) -> None:
    """Average the samples of each moved bin.

    Args:
        input: the map, (B, C, H, W).
        rois: the regions, (K, 5), index into B and xyxy in input pixels.
        offset: the shifts of bins, (K, 2, pooled_height, pooled_width), x
            and y, in sides of the region times gamma; empty: no shift.
        output: the averages, (K, C, pooled_height, pooled_width), written.
        **pooling: the parameters pooled_height and pooled_width (bins down
            and across a region), spatial_scale (map pixels per input pixel),
            sampling_ratio (samples per bin and axis; 0: one per map pixel)
            and gamma (the scale of the offsets).
    """
    if output.numel() == 0:
        return
    features = widen(input)
    bins, _, (across, down) = _moved_bins(features, rois, offset, **pooling)
    source, channels = ClampedMap(features), features.size(1)
    total = features.new_zeros(len(rois), *bins.size, channels)
    for rows, y, x in bins.visit(channels):
        y, x = y[:, :, None] + down[rows], x[:, None] + across[rows]
        total[rows] += source.read(bins.image[rows], y, x)
    output.copy_(total.permute(0, 3, 1, 2) / bins.count().clamp(min=1))


@serve('torch')
def deform_roi_pool_backward(
    grad_output: Tensor,
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    **pooling: float,
) -> None:
    """Add to the gradient of the input and write that of the offset."""
    if grad_output.numel() == 0:
        return
    features, grad = widen(input), widen(grad_output)
    bins, reach, (across, down) = _moved_bins(
        features, rois, offset, **pooling
    )
    source = ClampedMap(features)
    grad_map = grad.new_zeros(features.shape)
    grad_shift = grad.new_zeros(len(rois), 2, *bins.size)
    shared = grad / bins.count().clamp(min=1)
    for rows, y, x in bins.visit(features.size(1)):
        y, x = y[:, :, None] + down[rows], x[:, None] + across[rows]
        image, cotangent = bins.image[rows], shared[rows]
        scatter(grad_map, cotangent, image, y[:, None], x[:, None])
        if offset.numel():
            places = x.requires_grad_(), y.requires_grad_()
            with torch.enable_grad():
                samples = source.read(image, y, x).movedim(3, 1)
            moves = torch.autograd.grad(samples, places, cotangent)
            grad_shift[rows] += torch.stack(moves, 1)
    grad_input.add_(grad_map)
    if offset.numel():
        grad_offset.copy_(grad_shift * reach)


def _moved_bins(
    features: Tensor,
    rois: Tensor,
    offset: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> tuple[Bins, Tensor, tuple[Tensor, Tensor]]:
    """Divide the regions and scale the offsets.

    Returns:
        The bins; map pixels per offset across and down, (K, 2, 1, 1); and by
        how many map pixels bins move across and down, (K, *size) each, or
        (K, 1, 1) if nothing moves.
    """
    size = (pooled_height, pooled_width)
    rois = rois.to(features.dtype)
    bins = divide(rois, size, spatial_scale, sampling_ratio, True)
    sides = [bins.side[axis] * size[axis] for axis in (1, 0)]
    reach = gamma * torch.stack(sides, 1)[:, :, None, None]
    shift = torch.zeros_like(reach)
    if offset.numel():
        shift = offset.to(features.dtype) * reach
    return bins, reach, shift.unbind(1)
