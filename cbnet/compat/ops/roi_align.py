"""RoIAlign: torchvision's kernels for averages, plain torch for maxima."""

import torch
from torch import Tensor

from ...errors import UserValueError
from .precision import must_be_deterministic, widen
from .roi_samples import average_gradient, divide, max_gradient, max_pool
from .table import serve

MAX, AVG = range(2)


@serve('torchvision')
def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Pool the features of each region into bins.

    Args:
        input: the map, (B, C, H, W).
        rois: the regions, (K, 5), index into B and xyxy in input pixels.
        output: the bins, (K, C, aligned_height, aligned_width), written.
        argmax_y: the rows of the map where the maxima were sampled, like
            output, written by max pooling; -1 where nothing was sampled.
        argmax_x: the columns, like argmax_y.
        aligned_height: the bins down a region.
        aligned_width: the bins across a region.
        spatial_scale: the map pixels per input pixel.
        sampling_ratio: the samples per bin and axis; 0: one per map pixel.
        pool_mode: the statistic, 0 for the maximum, 1 for the average.
        aligned: whether to shift by half a pixel; the rule without it also
            widens regions to one map pixel.

    Raises:
        ValueError: a region has a negative or undefined side, and aligned is
            True (checked only on the CPU, as by the compiled operator).
    """
    if output.numel() == 0:
        return
    features = widen(input)
    rois = rois.to(features.dtype)
    if aligned and not rois.is_cuda:
        _check_sides(rois)
    size = (aligned_height, aligned_width)
    if pool_mode == AVG:
        output.copy_(
            torch.ops.torchvision.roi_align(
                features, rois, spatial_scale, *size, sampling_ratio, aligned
            )
        )
    else:
        bins = divide(rois, size, spatial_scale, sampling_ratio, aligned)
        max_pool(features, bins, output, argmax_y, argmax_x)


@serve('torchvision')
def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Add the gradient of the output to that of the input."""
    if grad_output.numel() == 0:
        return
    grad, shape = widen(grad_output), grad_input.shape
    rois = rois.to(grad.dtype)
    size = (aligned_height, aligned_width)
    if pool_mode == MAX:
        image = rois[:, 0].long()
        found = max_gradient(grad, image, argmax_y, argmax_x, shape)
    elif must_be_deterministic(grad):
        bins = divide(rois, size, spatial_scale, sampling_ratio, aligned)
        found = average_gradient(grad, bins, shape)
    else:
        found = torch.ops.torchvision._roi_align_backward(
            grad, rois, spatial_scale, *size, *shape, sampling_ratio, aligned
        )
    grad_input.add_(found)


def _check_sides(rois: Tensor) -> None:
    sides = rois[:, 3:] - rois[:, 1:3]
    wrong = ~(sides >= 0).all(1)
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise UserValueError(
            f'roi_align(aligned=True): rois[{row}] is {rois[row].tolist()}, '
            'expected (index, x1, y1, x2, y2) with x1 <= x2 and y1 <= y2; '
            'clip or filter the boxes before pooling'
        )
