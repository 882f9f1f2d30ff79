"""Sample pooled regions: maxima, and gradients of maxima and averages.

One sample of every bin of every region is read at a time, so memory grows
with the pooled features and not with the number of samples.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .bilinear import ClampedMap, scatter

# Elements of one temporary; regions are handled in chunks of this size.
CHUNK = 2**22


class Bins(NamedTuple):
    """How K regions are divided, in map pixels; y comes before x in pairs.

    Attributes:
        image: the position of each region's image in the batch, (K,).
        start: the first corner of each region, (K,) each.
        side: the sides of a bin, (K,) each.
        samples: the samples per bin, (K,) each.
        size: the bins down and across a region.
        shift: how far each bin is moved, (K, *size) each; empty: not at all.
    """

    image: Tensor
    start: tuple[Tensor, Tensor]
    side: tuple[Tensor, Tensor]
    samples: tuple[Tensor, Tensor]
    size: tuple[int, int]
    shift: tuple[Tensor, ...] = ()

    def count(self) -> Tensor:
        """Return the number of samples of a bin, at least 1, (K, 1, 1, 1)."""
        count = self.samples[0] * self.samples[1]
        return count.clamp(min=1)[:, None, None, None]

    def visit(self, channels: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield, sample by sample, the regions that have it and its place.

        Args:
            channels: the channels of what is read there; they decide how
                many regions are done at a time.

        Yields:
            (k,) positions of regions; y and x, which broadcast to (k, *size).
        """
        step = max(1, CHUNK // max(1, channels * self.size[0] * self.size[1]))
        for first in range(0, len(self.image), step):
            down, across = (n[first : first + step] for n in self.samples)
            for i in range(int(down.max())):
                for j in range(int(across.max())):
                    rows = ((down > i) & (across > j)).nonzero().squeeze(1)
                    rows = rows + first
                    y = self._place(0, i, rows)[:, :, None]
                    x = self._place(1, j, rows)[:, None, :]
                    if self.shift:
                        y = y + self.shift[0][rows]
                        x = x + self.shift[1][rows]
                    yield rows, y, x

    def _place(self, axis: int, number: int, rows: Tensor) -> Tensor:
        start, side, samples = (
            pair[axis][rows, None]
            for pair in (self.start, self.side, self.samples)
        )
        steps = torch.arange(self.size[axis], device=rows.device).to(start)
        # In the compiled operator's order: equal samples stay equal, and the
        # first of them is the maximum.
        return start + steps * side + (number + 0.5) * side / samples


def divide(
    rois: Tensor,
    size: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Bins:
    """Divide regions into bins of sample points, as RoIAlign does.

    Args:
        rois: the regions, (K, 5), index and xyxy in input pixels.
        size: the bins down and across a region.
        spatial_scale: the map pixels per input pixel.
        sampling_ratio: the samples per bin and axis; 0: one per map pixel.
        aligned: whether to shift by half a pixel.
    """
    corners = rois[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
    left, top, right, bottom = corners.unbind(1)
    extents = (bottom - top, right - left)
    if not aligned:
        extents = tuple(extent.clamp(min=1) for extent in extents)
    side = tuple(
        extent / bins for extent, bins in zip(extents, size, strict=True)
    )
    if sampling_ratio > 0:
        count = torch.full_like(left, sampling_ratio, dtype=torch.long)
        samples = (count, count)
    else:
        samples = tuple(one.ceil().long() for one in side)
    return Bins(rois[:, 0].long(), (top, left), side, samples, tuple(size))


def max_pool(
    features: Tensor,
    bins: Bins,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
) -> None:
    """Write the greatest sample of each bin and its place.

    Args:
        features: the map, (B, C, H, W).
        bins: the division of K regions.
        output: the samples, (K, C, *bins.size), written.
        argmax_y: the rows, like output, written; -1 where a bin has no sample.
        argmax_x: the columns, like argmax_y.
    """
    source, channels = ClampedMap(features), features.size(1)
    # The value from which mmcv's kernels start; bins without samples keep it.
    lowest = torch.finfo(torch.float32).min if features.is_cuda else -10000.0
    best = features.new_full((len(output), *bins.size, channels), lowest)
    best_y, best_x = torch.full_like(best, -1), torch.full_like(best, -1)
    for rows, y, x in bins.visit(channels):
        value = source.read(bins.image[rows], y, x)
        better = value > best[rows]
        best[rows] = torch.where(better, value, best[rows])
        best_y[rows] = torch.where(better, y[..., None], best_y[rows])
        best_x[rows] = torch.where(better, x[..., None], best_x[rows])
    for target, found in (
        (output, best),
        (argmax_y, best_y),
        (argmax_x, best_x),
    ):
        target.copy_(found.permute(0, 3, 1, 2))


def max_gradient(
    grad: Tensor,
    image: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    shape: torch.Size,
) -> Tensor:
    """Return the gradient of a map under max pooling.

    Args:
        grad: the gradient of the pooled features, (K, C, h, w).
        image: the position of each region's image in the batch, (K,).
        argmax_y: the rows that ``max_pool`` wrote.
        argmax_x: the columns that ``max_pool`` wrote.
        shape: the map's shape, (B, C, H, W).
    """
    grad_map = grad.new_zeros(shape)
    # The compiled operator takes a maximum at exactly y = -1 for none.
    grad = grad * (argmax_y != -1)
    step = max(1, CHUNK // max(1, grad[0].numel()))
    for one, place, y, x in zip(
        *(whole.split(step) for whole in (grad, image, argmax_y, argmax_x)),
        strict=True,
    ):
        scatter(grad_map, one, place, y.to(grad), x.to(grad))
    return grad_map


def average_gradient(grad: Tensor, bins: Bins, shape: torch.Size) -> Tensor:
    """Return the gradient of a map under average pooling.

    Args:
        grad: the gradient of the pooled features, (K, C, *bins.size).
        bins: the division of the K regions.
        shape: the map's shape, (B, C, H, W).
    """
    grad_map = grad.new_zeros(shape)
    shared = grad / bins.count()
    for rows, y, x in bins.visit(grad.size(1)):
        image = bins.image[rows]
        scatter(grad_map, shared[rows], image, y[:, None], x[:, None])
    return grad_map
