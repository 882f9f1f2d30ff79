"""The layouts in which modules pass maps to each other.

A connection computes maps (B, C, H, W).  A module may speak another layout:
(B, H, W, C), tokens (B, N, C) behind class and register tokens, tokens in
the order of windows, or a tuple that begins with one of these.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """How a value holds a map.

    Attributes:
        kind: ``NCHW``, ``NHWC``, ``tokens`` or ``ordered tokens``.
        prefix: the number of tokens before those of the map.
        in_tuple: whether the value is a tuple that begins with the map.
        order: where each token lies in the flattened map, for ordered tokens.
    """

    kind: str
    prefix: int = 0
    in_tuple: bool = False
    order: tuple[int, ...] = ()

    def size_of(
        self, value: Any, image: tuple[int, int], stride: int
    ) -> tuple[int, int]:
        """Tell the (H, W) of the map that a value holds.

        Args:
            value: the value.
            image: the (H, W) of the image, in pixels.
            stride: the pixels per position, which tokens do not tell.
        """
        x = value[0] if self.in_tuple else value
        if self.kind == 'NCHW':
            return tuple(x.shape[2:])
        if self.kind == 'NHWC':
            return tuple(x.shape[1:3])
        return -(-image[0] // stride), -(-image[1] // stride)

    def to_map(self, value: Any, size: tuple[int, int]) -> Tensor:
        """View a value as a map (B, C, H, W) of this (H, W)."""
        x = value[0] if self.in_tuple else value
        if self.kind == 'NCHW':
            return x
        if self.kind == 'NHWC':
            return x.permute(0, 3, 1, 2)
        x = x.flatten(1, -2)[:, self.prefix :]
        if self.order:
            order = torch.tensor(self.order, device=x.device)
            x = x[:, torch.argsort(order)]
        return x.unflatten(1, tuple(size)).permute(0, 3, 1, 2)

    def add(self, value: Any, added: Tensor) -> Any:
        """Add a map (B, C, H, W) to the map that a value holds."""
        if self.in_tuple:
            first = Layout(self.kind, self.prefix, False, self.order)
            return type(value)((first.add(value[0], added), *value[1:]))
        if self.kind == 'NCHW':
            return value + added
        if self.kind == 'NHWC':
            return value + added.permute(0, 2, 3, 1)
        tokens = added.flatten(2).transpose(1, 2)
        if self.order:
            order = torch.tensor(self.order, device=tokens.device)
            tokens = tokens[:, order]
        if self.prefix:
            tokens = F.pad(tokens, (0, 0, self.prefix, 0))
        return value + tokens.reshape(value.shape)


@dataclass(frozen=True)
class Found:
    """A recognised layout, and the map's channels and (H, W)."""

    layout: Layout
    channels: int
    size: tuple[int, int]


def recognise(value: Any, image: tuple[int, int], prefix: int) -> Found | None:
    """Recognise the layout of a value from its shape.

    Args:
        value: what a module was given or returned for one image.
        image: the (H, W) of the image, in pixels, better not square.
        prefix: the likely number of tokens before those of the map.

    Returns:
        None if the shape is not that of a map of this image.
    """
    in_tuple = isinstance(value, tuple | list)
    x = value[0] if in_tuple and len(value) else value
    if not isinstance(x, Tensor) or x.ndim < 3 or x.shape[0] != 1:
        return None
    if x.ndim == 4:
        if _covers(x.shape[2:], image):
            layout = Layout('NCHW', in_tuple=in_tuple)
            return Found(layout, x.shape[1], tuple(x.shape[2:]))
        if _covers(x.shape[1:3], image):
            layout = Layout('NHWC', in_tuple=in_tuple)
            return Found(layout, x.shape[3], tuple(x.shape[1:3]))
    if x.ndim == 3:
        for before in dict.fromkeys((prefix, 0, 1)):
            size = _grid(x.shape[1] - before, image)
            if size is not None:
                layout = Layout('tokens', before, in_tuple)
                return Found(layout, x.shape[2], size)
    return None


def _covers(size: tuple[int, int], image: tuple[int, int]) -> bool:
    """Tell whether a map of this (H, W) has one stride in both directions."""
    stride = max(1, round((image[0] / size[0] * image[1] / size[1]) ** 0.5))
    return all(
        abs(pixels / stride - count) < 1.01 + 0.08 * count
        for pixels, count in zip(image, size, strict=True)
    )


def _grid(tokens: int, image: tuple[int, int]) -> tuple[int, int] | None:
    """Find the (H, W) of the map that has this number of tokens."""
    for stride in range(1, max(image) + 1):
        size = (-(-image[0] // stride), -(-image[1] // stride))
        if size[0] * size[1] == tokens:
            return size
    return None


def equal_map(value: Any, wanted: Tensor) -> bool:
    """Tell whether a value holds a map (B, C, H, W), in any plain layout."""
    if isinstance(value, tuple | list):
        return any(equal_map(part, wanted) for part in value)
    x = value
    if not isinstance(x, Tensor) or x.numel() < wanted.numel():
        return False
    if x.shape == wanted.shape and torch.equal(x, wanted):
        return True
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2)
        return x.shape == wanted.shape and torch.equal(x, wanted)
    tokens = wanted.flatten(2).transpose(1, 2)
    before = x.shape[1] - tokens.shape[1]  # class and register tokens
    rest = x[:, max(before, 0) :]
    return (
        x.ndim == 3
        and rest.shape == tokens.shape
        and (torch.equal(rest, tokens))
    )


def find_order(value: Any, wanted: Tensor) -> tuple[int, ...]:
    """Find where each token of a value lies in a map (B, C, H, W).

    Returns:
        For each token its place in the flattened map, or nothing if the
        value does not consist of the map's positions.
    """
    if not isinstance(value, Tensor) or value.numel() != wanted.numel():
        return ()
    if value.shape[-1] != wanted.shape[1]:
        return ()
    places = wanted.flatten(2)[0].T.contiguous().cpu().numpy()
    index = {place.tobytes(): i for i, place in enumerate(places)}
    tokens = value.flatten(1, -2)[0].contiguous().cpu().numpy()
    order = tuple(index.get(token.tobytes(), -1) for token in tokens)
    return order if sorted(order) == list(range(len(order))) else ()
