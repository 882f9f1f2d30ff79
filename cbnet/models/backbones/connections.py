"""Composite connections: which edges a style has, and what an edge does.

Paper: arXiv 2107.00420, section 3.2 (the five composite styles).  An edge
(source, target) carries an assistant's output of stage ``source`` to the
*input* of stage ``target`` of the next member.  Stages count from 0; the
paper counts from 1 and calls the stem its stage 1, so its ``g^l`` with input
``x^i`` is the edge ``(i - 2, l - 1)`` here, and source ``STEM`` (-1) is the
stem's output.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from ...errors import UserValueError
from ...messages import did_you_mean
from ..members.base import StageSpec

Edge = tuple[int, int]
STEM = -1


def _slc(n: int) -> list[Edge]:
    return [(t - 1, t) for t in range(1, n)]


def _ahlc(n: int) -> list[Edge]:
    return [(t, t) for t in range(n)]


def _allc(n: int) -> list[Edge]:
    return [(t - 2, t) for t in range(1, n)]


def _dhlc(n: int) -> list[Edge]:
    return [(s, t) for t in range(n) for s in range(t, n)]


def _fcc(n: int) -> list[Edge]:
    return [(s, t) for t in range(n) for s in range(n)]


STYLES: dict[str, Callable[[int], list[Edge]]] = {
    'slc': _slc,  # same level: w(x^l)
    'ahlc': _ahlc,  # adjacent higher level: U(w(x^{l+1}))
    'allc': _allc,  # adjacent lower level: D(w(x^{l-1}))
    'dhlc': _dhlc,  # dense higher level: sum over i > l of U(w_i(x^i))
    'fcc': _fcc,  # fully connected: sum over i >= 2 of I(w_i(x^i))
}


def style_edges(style: str, num_stages: int) -> list[Edge]:
    """List the edges of a style.

    Args:
        style: a key of ``STYLES``.
        num_stages: stages of a member, the stem not counted.

    Returns:
        Edges (source, target), 0-based; source -1 is the stem.

    Raises:
        ValueError: for a name that is no style.
    """
    if not isinstance(style, str) or style not in STYLES:
        raise UserValueError(
            f'style={style!r} is not a composite style'
            f'{did_you_mean(style, STYLES) or ";"} There are '
            f'{", ".join(STYLES)}'
        )
    return STYLES[style](num_stages)


@dataclass(frozen=True)
class ConnectionOptions:
    """How the edges are realised; each member family has its own defaults.

    Args:
        norm_cfg: normalisation after each 1x1 convolution, or None.
        bias: whether the convolutions have a bias.
        identity: whether an edge between equal channels has no convolution.
        normed_source: whether edges read a stage's emitted (normed) map
            instead of its raw output.
        zero_init: whether the last layer of each edge starts at zero.
    """

    norm_cfg: dict[str, Any] | None = None
    bias: bool = True
    identity: bool = False
    normed_source: bool = False
    zero_init: bool = True

    def updated(self, **options: Any) -> 'ConnectionOptions':
        """Return a copy with ``options`` in place of the defaults.

        Raises:
            ValueError: for a key that is no option.
        """
        fields = self.__dataclass_fields__
        unknown = sorted(set(options) - set(fields))
        if unknown:
            raise UserValueError(
                f'connection has no option {unknown[0]!r}'
                f'{did_you_mean(unknown[0], fields) or ";"} It has '
                f'{", ".join(fields)}'
            )
        return replace(self, **options)


class Connection(nn.ModuleDict):
    """Carry an assistant's stage outputs to the next member's stage inputs.

    The input of stage ``t`` receives the sum over the edges ``(s, t)`` of
    ``resize(w_st(x^s))``: ``w`` is a 1x1 convolution and a norm, ``resize``
    goes to the exact size of that input, nearest upwards and area averaging
    downwards.  Both act on each position, or on each channel, alone, so the
    order does not change the result; the convolution runs at the lower
    resolution of the two.

    Norms stay in eval mode: their statistics remain 0 and 1 and each is a
    trainable scale and shift (as published; section 3.2 of the released
    behaviour).

    Args:
        edges: (source, target) pairs.
        sources: stages of the assistant.
        targets: stages of the next member.
        options: how edges are realised.
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
        self.sources: dict[int, list[int]] = {}
        for source, target in sorted(edges, key=lambda edge: edge[::-1]):
            self.sources.setdefault(target, []).append(source)
            self[_edge_name(source, target)] = self._transform(
                _channels(sources, source), targets[target].in_channels
            )

    @property
    def normed_sources(self) -> set[int]:
        """Stages whose normed (emitted) maps the edges read."""
        if not self.options.normed_source:
            return set()
        return {s for ss in self.sources.values() for s in ss if s != STEM}

    def _transform(self, in_channels: int, out_channels: int) -> nn.Module:
        if self.options.identity and in_channels == out_channels:
            return nn.Identity()
        transform = nn.Sequential()
        transform.add_module(
            'conv',
            nn.Conv2d(in_channels, out_channels, 1, bias=self.options.bias),
        )
        last = transform.conv
        if self.options.norm_cfg is not None:
            # Deviation: norms of connections.  They are trainable even if
            # the members' norms are not, because their scale and shift start
            # at zero and would stay there.
            norm_cfg = dict(self.options.norm_cfg, requires_grad=True)
            last = build_norm_layer(norm_cfg, out_channels)[1]
            transform.add_module('norm', last)
        if self.options.zero_init:
            nn.init.zeros_(last.weight)
            if last.bias is not None:
                nn.init.zeros_(last.bias)
        return transform

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
            outputs: the assistant's stage outputs, (B, C_s, H_s, W_s) each,
                by stage; -1 is the stem's.
            target: stage of the next member.
            size: (H, W) of that stage's input.

        Returns:
            A map (B, C_target_in, H, W), or None where no edge ends.
        """
        total = None
        for source in self.sources.get(target, ()):
            transform = self[_edge_name(source, target)]
            x = outputs[source]
            if x.shape[-1] > size[-1] or x.shape[-2] > size[-2]:
                x = transform(F.interpolate(x, size, mode='area'))
            elif x.shape[-2:] == tuple(size):
                x = transform(x)
            else:
                x = F.interpolate(transform(x), size, mode='nearest')
            total = x if total is None else total + x
        return total


def _edge_name(source: int, target: int) -> str:
    return f'{"stem" if source == STEM else source}_to_{target}'


def _channels(stages: Sequence[StageSpec], source: int) -> int:
    if source == STEM:
        return stages[0].in_channels
    return stages[source].out_channels
