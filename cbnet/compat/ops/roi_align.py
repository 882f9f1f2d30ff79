"""RoIAlign: torchvision's kernels for averages, plain torch for maxima."""

import torch
import torchvision  # noqa: F401 (defines torch.ops.torchvision)
from torch import Tensor

from . import roi_samples
from .precision import widen
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
        input: (B, C, H, W).
        rois: (K, 5), index into B and xyxy in input pixels.
        output: (K, C, aligned_height, aligned_width), written.
        argmax_y: like output, written by max pooling: where in the map the
            maximum was sampled, -1 where nothing was.
        argmax_x: like argmax_y.
        aligned_height: bins down a region.
        aligned_width: bins across a region.
        spatial_scale: map pixels per input pixel.
        sampling_ratio: samples per bin and axis; 0: one per map pixel.
        pool_mode: 0 max, 1 average.
        aligned: shift by half a pixel; False: the legacy rule, which also
            widens regions to one map pixel.

    Raises:
        ValueError: aligned, and a region has a negative or undefined side
            (looked at on the CPU alone, as by the compiled operator).
    """
    if output.numel() == 0:
        return
    features = widen(input)
    rois = rois.to(features.dtype)
    if aligned and not rois.is_cuda:
        _check_sides(rois)
    size = (aligned_height, aligned_width)
    if pool_mode == AVG:
        pooled = torch.ops.torchvision.roi_align(
            features, rois, spatial_scale, *size, sampling_ratio, aligned
        )
        output.copy_(pooled)
        return
    bins = roi_samples.divide(
        rois, size, spatial_scale, sampling_ratio, aligned
    )
    roi_samples.max_pool(features, bins, output, argmax_y, argmax_x)


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
    """Add the gradient of the pooled features to that of the map.

    Args:
        grad_output: (K, C, aligned_height, aligned_width).
        rois: as in forward.
        argmax_y: as forward wrote it.
        argmax_x: as forward wrote it.
        grad_input: (B, C, H, W), added to.
        aligned_height: as in forward, like all that follow.
        aligned_width: bins across a region.
        spatial_scale: map pixels per input pixel.
        sampling_ratio: samples per bin and axis; 0: one per map pixel.
        pool_mode: 0 max, 1 average.
        aligned: shift by half a pixel.
    """
    if grad_output.numel() == 0:
        return
    grad = widen(grad_output)
    rois = rois.to(grad.dtype)
    size = (aligned_height, aligned_width)
    if pool_mode == MAX:
        spread = roi_samples.max_gradient(
            grad, rois, argmax_y, argmax_x, grad_input.shape
        )
    elif grad.is_cuda and torch.are_deterministic_algorithms_enabled():
        # torchvision's kernel adds atomically and refuses this mode, which
        # mmengine's randomness=dict(deterministic=True) switches on.
        bins = roi_samples.divide(
            rois, size, spatial_scale, sampling_ratio, aligned
        )
        spread = roi_samples.average_gradient(grad, bins, grad_input.shape)
    else:
        spread = torch.ops.torchvision._roi_align_backward(
            grad,
            rois,
            spatial_scale,
            *size,
            *grad_input.shape,
            sampling_ratio,
            aligned,
        )
    grad_input.add_(spread)


def _check_sides(rois: Tensor) -> None:
    sides = rois[:, 3:] - rois[:, 1:3]
    wrong = ~(sides >= 0).all(1)
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise ValueError(
            f'roi_align(aligned=True): rois[{row}] is {rois[row].tolist()}, '
            'expected (index, x1, y1, x2, y2) with x1 <= x2 and y1 <= y2; '
            'clip or filter the boxes before pooling'
        )
