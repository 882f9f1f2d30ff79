"""Deformable RoI pooling: averages over bins that offsets move.

Gradients are the derivatives of the values that forward computes.  Those of
the compiled operator differ for samples in the half pixel along the edges of
a map: there it extrapolates, while the value that it returns is constant.
"""

import torch
from torch import Tensor

from .bilinear import ClampedMap
from .precision import widen
from .roi_samples import Bins, average_gradient, divide
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
    bins, _ = _moved_bins(features, rois, offset, **pooling)
    source, channels = ClampedMap(features), features.size(1)
    total = features.new_zeros(len(rois), *bins.size, channels)
    for rows, y, x in bins.visit(channels):
        total[rows] += source.read(bins.image[rows], y, x)
    output.copy_(total.permute(0, 3, 1, 2) / bins.count())


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
    bins, reach = _moved_bins(features, rois, offset, **pooling)
    grad_input.add_(average_gradient(grad, bins, features.shape))
    if not bins.shift:
        return
    source, shared = ClampedMap(features), grad / bins.count()
    grad_shift = torch.zeros_like(offset, dtype=grad.dtype)
    for rows, y, x in bins.visit(features.size(1)):
        places = x.requires_grad_(), y.requires_grad_()
        with torch.enable_grad():
            samples = source.read(bins.image[rows], y, x).movedim(3, 1)
        moves = torch.autograd.grad(samples, places, shared[rows])
        grad_shift[rows] += torch.stack(moves, 1)
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
) -> tuple[Bins, Tensor]:
    """Return the moved bins, and the map pixels per offset, (K, 2, 1, 1)."""
    size = (pooled_height, pooled_width)
    rois = rois.to(features.dtype)
    bins = divide(rois, size, spatial_scale, sampling_ratio, True)
    sides = [bins.side[axis] * size[axis] for axis in (1, 0)]
    reach = gamma * torch.stack(sides, 1)[:, :, None, None]
    if offset.numel():
        across, down = (offset.to(features.dtype) * reach).unbind(1)
        bins = bins._replace(shift=(down, across))
    return bins, reach
