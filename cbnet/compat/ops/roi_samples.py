"""The sample points of pooled regions: maxima, gradients through them.

Sampling goes sample by sample (all bins of all regions at once), so memory
grows with the pooled features and not with the number of samples.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

# Elements of one temporary; regions are handled in chunks of this size.
_CHUNK = 2**22


class Bins(NamedTuple):
    """How K regions are divided; (K,) each, y before x in pairs."""

    image: Tensor
    start: tuple[Tensor, Tensor]
    side: tuple[Tensor, Tensor]
    samples: tuple[Tensor, Tensor]
    size: tuple[int, int]

    def part(self, rows: slice) -> 'Bins':
        """Return the division of some of the regions."""
        pairs = [
            (pair[0][rows], pair[1][rows])
            for pair in (self.start, self.side, self.samples)
        ]
        return Bins(self.image[rows], *pairs, self.size)


def divide(
    rois: Tensor,
    size: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Bins:
    """Divide regions (K, 5) into bins of sample points, in map pixels."""
    left, top, right, bottom = (
        rois[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
    ).unbind(1)
    extents = (bottom - top, right - left)
    if not aligned:
        extents = tuple(extent.clamp(min=1) for extent in extents)
    side = tuple(
        extent / bins for extent, bins in zip(extents, size, strict=True)
    )
    if sampling_ratio > 0:
        samples = tuple(
            torch.full_like(one, sampling_ratio, dtype=torch.long)
            for one in side
        )
    else:
        samples = tuple(one.ceil().long() for one in side)
    return Bins(rois[:, 0].long(), (top, left), side, samples, size)


def visit(bins: Bins) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield, sample by sample, the regions that have it, and its place.

    Yields:
        (k,) positions of regions; (k, bins down) y; (k, bins across) x.
    """
    down, across = bins.samples
    for i in range(int(down.max())):
        for j in range(int(across.max())):
            rows = ((down > i) & (across > j)).nonzero().squeeze(1)
            yield rows, _place(bins, 0, i, rows), _place(bins, 1, j, rows)


def _place(bins: Bins, axis: int, number: int, rows: Tensor) -> Tensor:
    start, side, samples = (
        pair[axis][rows, None]
        for pair in (bins.start, bins.side, bins.samples)
    )
    steps = torch.arange(bins.size[axis], device=rows.device).to(start)
    # In the compiled operator's order: equal samples stay equal, and the
    # first of them is the maximum.
    return start + steps * side + (number + 0.5) * side / samples


class Axis(NamedTuple):
    """Linear interpolation along one axis: neighbours and their weights."""

    neighbours: tuple[Tensor, Tensor]
    weights: tuple[Tensor, Tensor]


def interpolate(place: Tensor, length: int) -> Axis:
    """Return the neighbours of places on an axis, and their weights."""
    inside = (place >= -1) & (place <= length)
    place = place.clamp(0, length - 1)
    low = place.floor()
    high = (low + 1).clamp(max=length - 1)
    upper = place - low
    # Outside, both weights are zero: the sample counts, with the value 0.
    weights = ((1 - upper) * inside, upper * inside)
    return Axis((low.long(), high.long()), weights)


def corners(y: Axis, x: Axis, width: int) -> Iterator[tuple]:
    """Yield offset in the map and weight of the four neighbours."""
    for row, weight_y in zip(y.neighbours, y.weights, strict=True):
        for column, weight_x in zip(x.neighbours, x.weights, strict=True):
            yield row * width + column, weight_y * weight_x


def chunks(regions: int, elements: int) -> Iterator[slice]:
    """Yield which regions, of so many elements each, to do at a time."""
    step = max(1, _CHUNK // max(1, elements))
    for first in range(0, regions, step):
        yield slice(first, first + step)


def max_pool(
    features: Tensor,
    bins: Bins,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
) -> None:
    """Write the greatest sample of each bin and where it was taken.

    Args:
        features: (B, C, H, W).
        bins: of K regions.
        output: (K, C, *bins.size), written.
        argmax_y: like output, written; -1 where a bin has no sample.
        argmax_x: like argmax_y.
    """
    channels, height, width = features.shape[1:]
    # One row a map pixel, so that a sample reads whole rows.
    pixels = features.permute(0, 2, 3, 1).reshape(-1, channels)
    # Where mmcv's kernels start looking; seen in bins without samples.
    lowest = torch.finfo(torch.float32).min if features.is_cuda else -10000.0
    for chunk in chunks(len(output), output[0].numel()):
        part = bins.part(chunk)
        shape = (len(part.image), *bins.size, channels)
        best = features.new_full(shape, lowest)
        best_y = features.new_full(shape, -1.0)
        best_x = features.new_full(shape, -1.0)
        for rows, y, x in visit(part):
            y, x = y[:, :, None], x[:, None, :]
            value = best.new_zeros(())
            origin = (part.image[rows] * height * width)[:, None, None]
            for offset, weight in corners(
                interpolate(y, height), interpolate(x, width), width
            ):
                value = value + weight[..., None] * pixels[origin + offset]
            former = best[rows]
            better = value > former
            best[rows] = torch.where(better, value, former)
            best_y[rows] = torch.where(better, y[..., None], best_y[rows])
            best_x[rows] = torch.where(better, x[..., None], best_x[rows])
        for target, values in (
            (output, best),
            (argmax_y, best_y),
            (argmax_x, best_x),
        ):
            target[chunk] = values.permute(0, 3, 1, 2).to(target.dtype)


def scatter(
    grad_map: Tensor, grad: Tensor, image: Tensor, y: Tensor, x: Tensor
) -> None:
    """Add gradients (k, C, h, w) of samples at y, x to a map."""
    channels, height, width = grad_map.shape[1:]
    channel = torch.arange(channels, device=grad.device)
    plane = image[:, None] * channels + channel
    origin = (plane * height * width)[:, :, None, None]
    for offset, weight in corners(
        interpolate(y, height), interpolate(x, width), width
    ):
        index = (origin + offset).expand_as(grad)
        grad_map.view(-1).index_add_(
            0, index.reshape(-1), (grad * weight).reshape(-1)
        )


def max_gradient(
    grad: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    shape: torch.Size,
) -> Tensor:
    """Return the gradient of the map (shape) under max pooling.

    Args:
        grad: (K, C, bins down, bins across), of the pooled features.
        rois: (K, 5), of which the image index is used.
        argmax_y: like grad, as ``max_pool`` wrote it.
        argmax_x: like grad.
        shape: (B, C, H, W) of the map.
    """
    grad_map = grad.new_zeros(shape)
    # As compiled: a maximum sampled exactly at y = -1 is taken for none.
    grad = grad * (argmax_y != -1)
    for chunk in chunks(len(grad), grad[0].numel()):
        scatter(
            grad_map,
            grad[chunk],
            rois[chunk, 0].long(),
            argmax_y[chunk].to(grad.dtype),
            argmax_x[chunk].to(grad.dtype),
        )
    return grad_map


def average_gradient(grad: Tensor, bins: Bins, shape: torch.Size) -> Tensor:
    """Return the gradient of the map (shape) under average pooling.

    Args:
        grad: (K, C, *bins.size), of the pooled features.
        bins: of the K regions.
        shape: (B, C, H, W) of the map.
    """
    grad_map = grad.new_zeros(shape)
    for chunk in chunks(len(grad), grad[0].numel()):
        part = bins.part(chunk)
        count = part.samples[0] * part.samples[1]
        shared = grad[chunk] / count[:, None, None, None]
        for rows, y, x in visit(part):
            scatter(
                grad_map,
                shared[rows],
                part.image[rows],
                y[:, None, :, None],
                x[:, None, None, :],
            )
    return grad_map
