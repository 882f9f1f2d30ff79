"""Where the tokens of a Swin's windows lie, kept for every block and member.

A block pads its grid of tokens to whole windows, shifts it, and cuts it into
windows.  All of this moves tokens and computes nothing, so it is one move by
an index, and one move back.  The indices depend on sizes alone.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

# Sizes of images come again within a run; those of multi-scale training are
# many, and an entry is as large as two integers per token.
_MOST = 128
_kept: OrderedDict[tuple, Any] = OrderedDict()


class Places(NamedTuple):
    """The places of tokens in windows; rows count over the whole batch.

    Attributes:
        there: the token (row of B * H * W) at each place in the windows (row
            of B * windows * N); an arbitrary one where there is padding.
        back: the place of each token in the windows.
        padding: the places in the windows at which there is no token.
        grid: the number of windows below and beside each other.
    """

    there: Tensor
    back: Tensor
    padding: Tensor
    grid: tuple[int, int]


class Seams(NamedTuple):
    """What is added to the attention in shifted windows at the last borders.

    There, the shift brings together tokens of opposite borders of the map.

    Attributes:
        below: (N, N), for the last row of windows.
        beside: (N, N), for the last column of windows.
    """

    below: Tensor
    beside: Tensor


def find_places(
    size: tuple[int, int, int], window: int, shift: int, device: torch.device
) -> Places:
    """Find the places of all tokens.

    Args:
        size: (B, H, W), the batch and the grid of tokens.
        window: the height and width of a window, in tokens.
        shift: by how many tokens the windows are shifted.
        device: the device of the tokens.
    """
    key = 'places', tuple(size), window, shift, device
    return _once(key, lambda: _places(size, window, shift, device))


def find_seams(
    window: int, shift: int, device: torch.device, dtype: torch.dtype
) -> Seams:
    """Find what keeps tokens of opposite borders apart."""
    if torch.compiler.is_compiling():
        return _seams(window, shift, device, dtype)
    key = 'seams', window, shift, device, dtype
    return _once(key, lambda: _seams(window, shift, device, dtype))


def _once(key: tuple, make: Callable[[], Any]) -> Any:
    found = _kept.get(key)
    if found is None:
        # What is made in inference mode cannot be used in training.
        with torch.inference_mode(False), torch.no_grad():
            found = make()
        _kept[key] = found
        while len(_kept) > _MOST:
            _kept.popitem(last=False)
    return found


def _places(
    size: tuple[int, int, int], window: int, shift: int, device: torch.device
) -> Places:
    batch, height, width = size
    rows, columns = -(-height // window), -(-width // window)
    # On the CPU, whatever the default device is: there are numbers to look at.
    grid = torch.full(
        (batch, rows * window, columns * window), -1, device='cpu'
    )
    tokens = torch.arange(batch * height * width, device='cpu')
    grid[:, :height, :width] = tokens.view(batch, height, width)
    there = (
        grid.roll((-shift, -shift), (1, 2))
        .view(batch, rows, window, columns, window)
        .transpose(2, 3)
        .reshape(-1)
    )
    (padding,) = torch.where(there < 0)
    (filled,) = torch.where(there >= 0)
    back = torch.empty_like(tokens)
    back[there[filled]] = filled
    moves = (there.clamp_(min=0), back, padding)
    return Places(*(x.int().to(device) for x in moves), (rows, columns))


def _seams(
    window: int, shift: int, device: torch.device, dtype: torch.dtype
) -> Seams:
    # As in mmdet: -100, which leaves nothing in a softmax.
    behind = torch.arange(window, device=device) >= window - shift
    rows = behind.repeat_interleave(window)
    columns = behind.repeat(window)
    return Seams(
        *(
            torch.where(side[:, None] == side, 0.0, -100.0).to(dtype)
            for side in (rows, columns)
        )
    )
