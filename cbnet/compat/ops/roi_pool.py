"""RoIPool: mmcv's bins, the maximum of each by torchvision's kernel.

torchvision rounds the corners of a region to pixels before it divides; mmcv
divides first and takes every pixel that a bin touches.  So each of mmcv's
bins goes through the kernel as a region of its own, with one bin.
"""

import torch
from torch import Tensor

from .precision import widen
from .table import serve


@serve('torchvision')
def roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Write the greatest pixel of each bin of each region.

    Args:
        input: the map, (B, C, H, W).
        rois: the regions, (K, 5), index into B and xyxy in input pixels; x2
            and y2 are the last pixels inside.
        output: the maxima, (K, C, pooled_height, pooled_width), written; 0
            in a bin without pixels.
        argmax: the first of the greatest pixels in the map (y * W + x), like
            output, written; -1 in a bin without pixels.
        pooled_height: the bins down a region.
        pooled_width: the bins across a region.
        spatial_scale: the map pixels per input pixel.
    """
    if not output.numel():
        return
    features = widen(input)
    size = (pooled_height, pooled_width)
    bins = _bins(rois.to(features), size, spatial_scale, features.shape[2:])
    best, place = torch.ops.torchvision.roi_pool(features, bins, 1.0, 1, 1)
    for target, values in ((output, best), (argmax, place)):
        values = values.view(len(rois), *size, features.shape[1])
        target.copy_(values.permute(0, 3, 1, 2))


@serve('torch')
def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Add the gradient of each bin to the input's, where its maximum was."""
    grad = widen(grad_output).masked_fill(argmax < 0, 0)
    channels, height, width = grad_input.shape[1:]
    channel = torch.arange(channels, device=grad.device)
    plane = rois[:, :1].long() * channels + channel
    index = plane[:, :, None, None] * (height * width) + argmax.clamp(min=0)
    spread = grad.new_zeros(grad_input.numel())
    spread.index_add_(0, index.flatten(), grad.flatten())
    grad_input.add_(spread.view_as(grad_input))


def _bins(
    rois: Tensor,
    size: tuple[int, int],
    spatial_scale: float,
    map_size: tuple[int, int],
) -> Tensor:
    """Divide regions (K, 5) into bins of whole pixels, (K * bins, 5).

    Both corners of a bin are inside it; a bin without pixels lies outside
    the map.
    """
    start = rois[:, 1:3] * spatial_scale
    side = (rois[:, 3:] + 1) * spatial_scale - start
    left, right = _edges(start[:, 0], side[:, 0], size[1], map_size[1])
    top, bottom = _edges(start[:, 1], side[:, 1], size[0], map_size[0])
    empty = (right <= left)[:, None, :] | (bottom <= top)[:, :, None]
    # A region without width or height pools nothing, though its edges may
    # cut pixels.  (mmcv leaves its argmax at 0, which sends the gradient to
    # the map's first pixel; -1 sends it nowhere.)
    empty |= ~(side > 0).all(1)[:, None, None]
    columns = (
        rois[:, :1, None],
        left[:, None, :],
        top[:, :, None],
        right[:, None, :] - 1,
        bottom[:, :, None] - 1,
    )
    bins = torch.stack([column.expand_as(empty) for column in columns], 3)
    bins[..., 1:].masked_fill_(empty[..., None], max(map_size))
    return bins.flatten(0, 2)


def _edges(
    start: Tensor, side: Tensor, count: int, length: int
) -> tuple[Tensor, Tensor]:
    """Return each bin's first pixel and the one after its last: (K, bins).

    Neighbouring bins share the pixel that the edge between them cuts.
    """
    step = torch.arange(count + 1, device=start.device).to(start)
    place = step * (side / count)[:, None] + start[:, None]
    first, after = place[:, :-1].floor(), place[:, 1:].ceil()
    return first.clamp(0, length), after.clamp(0, length)
