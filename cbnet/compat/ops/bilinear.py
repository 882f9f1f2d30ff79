"""Bilinear interpolation: the four neighbours of a place and their weights.

There are two rules for the border.  The RoI operators clamp a place within
one pixel of the map to it; deformable operators pad the map with zeros.
Places are in pixels of the map.
"""

from collections.abc import Iterator

import torch
from torch import Tensor


class ClampedMap:
    """A feature map, (B, C, H, W), that is read by the clamping rule."""

    def __init__(self, features: Tensor) -> None:
        channels, self.height, self.width = features.shape[1:]
        # One row per pixel, so that a sample reads whole rows.
        self._pixels = features.permute(0, 2, 3, 1).reshape(-1, channels)

    def read(self, image: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Interpolate; autograd follows y and x.

        Args:
            image: the position in the batch of each region, (k,).
            y: the places down, which broadcast to (k, h, w).
            x: the places across, like y.

        Returns:
            (k, h, w, C).
        """
        first = (image * self.height * self.width)[:, None, None]
        total = 0
        for offset, weight in _neighbours(y, x, self.height, self.width):
            total = total + weight[..., None] * self._pixels[first + offset]
        return total


def scatter(
    grad_map: Tensor, grad: Tensor, image: Tensor, y: Tensor, x: Tensor
) -> None:
    """Add the gradients of samples to that of a map (clamping rule).

    Args:
        grad_map: the gradient of the map, (B, C, H, W), added to.
        grad: the gradients of the samples, (k, C, h, w).
        image: the position in the batch of each region, (k,).
        y: the places down, which broadcast to grad.
        x: the places across, like y.
    """
    channels, height, width = grad_map.shape[1:]
    channel = torch.arange(channels, device=grad.device)
    plane = image[:, None] * channels + channel
    origin = (plane * height * width)[:, :, None, None]
    for offset, weight in _neighbours(y, x, height, width):
        index = (origin + offset).expand_as(grad)
        grad_map.view(-1).index_add_(
            0, index.reshape(-1), (grad * weight).reshape(-1)
        )


def _neighbours(
    y: Tensor, x: Tensor, height: int, width: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the four neighbours' offsets in the map, and their weights."""
    columns = _clamp(x, width)
    for row, weight_y in _clamp(y, height):
        for column, weight_x in columns:
            yield row * width + column, weight_y * weight_x


def _clamp(place: Tensor, length: int) -> list[tuple[Tensor, Tensor]]:
    """Return the pixels before and after places on an axis, with weights."""
    inside = (place >= -1) & (place <= length)
    place = place.clamp(0, length - 1)
    low = place.floor()
    high = (low + 1).clamp(max=length - 1)
    upper = place - low
    # Outside, both weights are zero: the sample counts, with the value 0.
    return [
        (low.long(), (1 - upper) * inside),
        (high.long(), upper * inside),
    ]


def gather_padded(
    maps: Tensor, y: Tensor, x: Tensor, factor: Tensor | float = 1
) -> Tensor:
    """Read maps that are padded with zeros; autograd goes through it.

    Args:
        maps: (N, C, H, W).
        y: the places down in pixels, (N, n).
        x: the places across, like y.
        factor: the factor of each sample, like y.

    Returns:
        (N, C, n); NaN where a place is NaN.
    """
    height, width = maps.shape[2:]
    top, left = y.detach().floor(), x.detach().floor()
    total = 0
    for row, weight_y in ((top, top + 1 - y), (top + 1, y - top)):
        for column, weight_x in ((left, left + 1 - x), (left + 1, x - left)):
            inside = (row >= 0) & (row < height)
            inside &= (column >= 0) & (column < width)
            index = row.clamp(0, height - 1) * width
            index = index + column.clamp(0, width - 1)
            index = index.nan_to_num().long()[:, None]
            values = maps.flatten(2).gather(
                2, index.expand(-1, maps.size(1), -1)
            )
            weight = weight_y * weight_x * inside * factor
            total = total + values * weight[:, None]
    return total
