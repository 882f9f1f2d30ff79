"""Composite connections: the edges of each style, and what an edge computes.

Paper: arXiv 2107.00420, section 3.2 (the five composite styles).  An edge
(source, target) carries an assistant's output of stage ``source`` to the
*input* of stage ``target`` of the next member.  Stages count from 0; the
paper counts from 1 and calls the stem its stage 1 (here ``STEM``, -1), so its
``g^l`` with input ``x^i`` is the edge ``(i - 2, l - 1)`` here.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks.scale import LayerScale
from torch import Tensor, nn

from ...arguments import explained, validated
from ...errors import UserValueError
from ..members import STEM, StageSpec
from .connection_options import ConnectionOptions
from .resizing import add_enlarged, divide, enlarge

Edge = tuple[int, int]

#: the names of the styles
Style = Literal['slc', 'ahlc', 'allc', 'dhlc', 'fcc']

#: the edges of each style for n stages, with the paper's formula, in which
#: ``U`` and ``D`` resample and ``w`` is a 1x1 convolution with a norm
STYLES: dict[Style, Callable[[int], list[Edge]]] = {
    # same level: w(x^l)
    'slc': lambda n: [(t - 1, t) for t in range(1, n)],
    # adjacent higher level: U(w(x^{l+1}))
    'ahlc': lambda n: [(t, t) for t in range(n)],
    # adjacent lower level: D(w(x^{l-1}))
    'allc': lambda n: [(t - 2, t) for t in range(1, n)],
    # dense higher level: the sum over i > l of U(w_i(x^i))
    'dhlc': lambda n: [(s, t) for t in range(n) for s in range(t, n)],
    # fully connected: the sum over i >= 2 of U(w_i(x^i)) or D(w_i(x^i))
    'fcc': lambda n: [(s, t) for t in range(n) for s in range(n)],
}


@validated
def style_edges(style: Style, num_stages: int) -> list[Edge]:
    """List the edges of a style.

    Args:
        style: a key of ``STYLES``.
        num_stages: the number of stages of a member, without the stem.

    Returns:
        The edges (source, target), counted from 0; source -1 is the stem.

    Raises:
        ValueError: if there is no such style.
    """
    return STYLES[style](num_stages)


class Connection(nn.ModuleDict):
    """Carry an assistant's stage outputs to the next member's stage inputs.

    The input of stage ``t`` receives the sum over the edges ``(s, t)`` of
    ``resize(w_st(x^s))``: ``w`` is a 1x1 convolution and a norm; ``resize``
    goes to the exact size of that input, by nearest neighbours upwards and
    by area averaging downwards.  The two commute, so the convolution runs at
    the lower resolution.  Norms stay in eval mode: their statistics remain 0
    and 1, so each is a trainable scale and shift, as published.

    Args:
        edges: the (source, target) pairs.
        sources, targets: the stages of the assistant and the next member.
        options: how the edges are computed.

    Raises:
        ValueError: the norms cannot be built, or have no weights to start
            with.
    """

    def __init__(
        self,
        edges: Sequence[Edge],
        sources: Sequence[StageSpec],
        targets: Sequence[StageSpec],
        options: ConnectionOptions,
    ) -> None:
        super().__init__()
        self.options = options
        channels = {i: spec.out_channels for i, spec in enumerate(sources)}
        channels[STEM] = sources[0].in_channels
        #: target stage -> its source stages
        self.sources: dict[int, list[int]] = {}
        for source, target in sorted(edges, key=lambda edge: edge[::-1]):
            self.sources.setdefault(target, []).append(source)
            self[_edge_name(source, target)] = self._transform(
                channels[source], targets[target].in_channels
            )

    @property
    def read_stages(self) -> set[int]:
        """The stages that the edges read, ``STEM`` among them."""
        return {source for group in self.sources.values() for source in group}

    @property
    def normed_sources(self) -> set[int]:
        """The stages whose normed (emitted) maps the edges read."""
        normed = self.options.normed_source
        return self.read_stages - {STEM} if normed else set()

    def _transform(self, in_channels: int, out_channels: int) -> nn.Module:
        if self.options.identity and in_channels == out_channels:
            if self.options.init is None:
                return nn.Identity()
            start = self.options.start
            return LayerScale(out_channels, False, 'channels_first', start)
        transform = nn.Sequential()
        last = nn.Conv2d(in_channels, out_channels, 1, bias=self.options.bias)
        transform.add_module('conv', last)
        if self.options.norm_cfg is not None:
            # Deviation: norms of connections.  They are trainable even if the
            # members' norms are not: they start at zero and would stay there.
            norm_cfg = dict(self.options.norm_cfg, requires_grad=True)
            with explained('connection.norm_cfg does not build'):
                last = build_norm_layer(norm_cfg, out_channels)[1]
            transform.add_module('norm', last)
            self._check_norm(last)
        if (start := self.options.start) is not None:
            with torch.no_grad():  # a product with 0 may be -0.0
                last.weight.copy_(last.weight * start if start else 0)
            if last.bias is not None:
                nn.init.zeros_(last.bias)
        return transform

    def _check_norm(self, norm: nn.Module) -> None:
        """Refuse a norm without the scale with which an edge starts."""
        if self.options.start is not None and norm.weight is None:
            raise UserValueError(
                f'connection.norm_cfg={self.options.norm_cfg} builds '
                f'{type(norm).__name__} without weights, but an edge starts '
                f'with the weights of its norm; add affine=True, or set '
                f'connection.zero_init=False without connection.init'
            )

    def train(self, mode: bool = True) -> 'Connection':
        """Switch modes; norms stay in eval mode."""
        super().train(mode)
        for transform in self.values():
            if hasattr(transform, 'norm'):
                transform.norm.eval()
        return self

    def forward(
        self, outputs: dict[int, Tensor], target: int, size: tuple[int, int]
    ) -> Tensor | None:
        """Compute what is added to the input of stage ``target``.

        Args:
            outputs: the assistant's stage outputs (B, C_s, H_s, W_s), by
                stage; the stem's under ``STEM``.
            target: the stage of the next member.
            size: the (H, W) of that stage's input.

        Returns:
            A map (B, C_target_in, H, W), or None if no edge ends there.
        """
        total = None
        # The coarsest source is the last one.  Where grids divide, a sum is
        # enlarged only to the grid of the next source, so that one map, not
        # one of each edge, is enlarged to the full size.
        for source in reversed(self.sources.get(target, ())):
            transform = self[_edge_name(source, target)]
            x = outputs[source]
            if x.shape[-1] > size[-1] or x.shape[-2] > size[-2]:
                x = F.interpolate(x, size, mode='area')
            x = transform(x)
            if total is not None:
                if not divide(total.shape[-2:], x.shape[-2:], size):
                    x, total = enlarge(x, size), enlarge(total, size)
                x = add_enlarged(x, total)
            total = x
        return None if total is None else enlarge(total, size)


def _edge_name(source: int, target: int) -> str:
    return f'{"stem" if source == STEM else source}_to_{target}'
