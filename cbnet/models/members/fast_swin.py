"""Swin blocks that compute what mmdet's do, with less around the arithmetic.

mmdet's modules stay where they are, with their parameters and names; only
their class changes to a subclass whose ``forward`` moves tokens once where
mmdet's pads, shifts, cuts and permutes, which looks up its masks instead of
computing them in every block, and which projects no padding.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.backbones.swin import ShiftWindowMSA, WindowMSA
from mmdet.models.layers import PatchMerging
from torch import Tensor, nn

from .window_places import Places, find_places, find_seams


class FastShiftWindowMSA(ShiftWindowMSA):
    """Attention in windows; see :class:`mmdet...ShiftWindowMSA`.

    Deviation: rounding of Swin.  The numbers are mmdet's up to the order in
    which they are added, which differs in the last digits.
    """

    def forward(self, query: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """Attend within windows.

        Args:
            query: the tokens (B, H * W, C).
            hw_shape: their (H, W).

        Returns:
            Tokens (B, H * W, C).
        """
        msa = self.w_msa
        if torch.compiler.is_compiling() and _is_plain(msa):
            return self._traced(query, hw_shape)
        if not (_has_numbers(query) and _is_plain(msa)):
            return super().forward(query, hw_shape)
        size, window = (len(query), *hw_shape), self.window_size
        places = find_places(size, window, self.shift_size, query.device)
        # Padding is zero before the projection, so its bias after it.
        tokens = msa.qkv(query).flatten(0, 1)
        filler = msa.qkv.bias
        if filler is not None:
            filler = filler.to(tokens.dtype)
        windows = _ToWindows.apply(tokens, filler, places)
        y = self._attend(windows, places.grid)
        y = _ToTokens.apply(y, places).view_as(query)
        return self.drop(msa.proj(y))

    def _traced(self, query: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """Compute the same for a compiler, which fuses the moves by itself."""
        msa, window, shift = self.w_msa, self.window_size, self.shift_size
        (height, width), channels = hw_shape, query.shape[-1]
        x = query.unflatten(1, (height, width))
        x = F.pad(x, (0, 0, 0, -width % window, 0, -height % window))
        x = x.roll((-shift, -shift), (1, 2)) if shift else x
        x = x.unflatten(2, (-1, window)).unflatten(1, (-1, window))
        x = x.transpose(2, 3)
        batch, *grid = x.shape[:3]
        y = self._attend(msa.qkv(x), grid)
        y = y.reshape(batch, *grid, window, window, channels)
        y = y.transpose(2, 3).flatten(3, 4).flatten(1, 2)
        y = y.roll((shift, shift), (1, 2)) if shift else y
        y = y[:, :height, :width].flatten(1, 2)
        return self.drop(msa.proj(y))

    def _attend(self, qkv: Tensor, grid: Sequence[int]) -> Tensor:
        """Attend within each window.

        Args:
            qkv: (B * windows * N, 3 * C), or of more dimensions.
            grid: the rows and columns of windows.

        Returns:
            (B * windows * N, C).
        """
        msa, positions = self.w_msa, self.window_size**2
        heads = qkv.shape[-1] // (3 * msa.num_heads)
        qkv = qkv.reshape(-1, positions, 3, msa.num_heads, heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        # The bias is computed each time, because its table is trained.
        index = msa.relative_position_index
        bias = msa.relative_position_bias_table[index.view(-1)]
        bias = bias.view(*index.shape, -1).permute(2, 0, 1)[None]
        trained = torch.is_grad_enabled() and bias.requires_grad
        if q.device.type == 'cpu' and trained:
            # Here, torch's kernel gives no gradient of the bias.
            y = self._attend_by_products(q, k, v, bias, grid)
        else:
            if self.shift_size:
                mask = bias.new_zeros(*grid, 1, *index.shape)
                self._add_seams(mask)
                bias = bias + mask.flatten(0, 1)
                bias = bias.repeat(len(q) // len(bias), 1, 1, 1)
            y = F.scaled_dot_product_attention(q, k, v, bias, scale=msa.scale)
        return y.transpose(1, 2).flatten(2).flatten(0, 1)

    def _attend_by_products(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        bias: Tensor,
        grid: Sequence[int],
    ) -> Tensor:
        attention = (q * self.w_msa.scale) @ k.transpose(-2, -1)
        if attention.dtype == bias.dtype:
            attention += bias
        else:  # autocast: as in mmdet, the softmax is that of float32
            attention = attention + bias
        if self.shift_size:  # constants, of which no gradient knows
            self._add_seams(attention.detach().unflatten(0, (-1, *grid)))
        return attention.softmax(-1) @ v

    def _add_seams(self, x: Tensor) -> None:
        """Add, in place, to (..., rows, columns, heads, N, N)."""
        seams = find_seams(
            self.window_size, self.shift_size, x.device, x.dtype
        )
        x[..., -1, :, :, :, :] += seams.below
        x[..., -1, :, :, :] += seams.beside


def _has_numbers(x: Tensor) -> bool:
    """Tell whether this is a run, and not a look at what would run.

    Costs are counted as those of the published models are, with the
    projections of padding.
    """
    return type(x) is Tensor and not (x.is_meta or torch.jit.is_tracing())


def _is_plain(msa: nn.Module) -> bool:
    """Tell whether nothing but mmdet's own attention is expected of it."""
    drops = msa.training and (msa.attn_drop.p or msa.proj_drop.p)
    return (
        type(msa) is WindowMSA
        and type(msa.qkv) is nn.Linear
        and not (drops or msa._forward_hooks or msa._forward_pre_hooks)
    )


class _ToWindows(torch.autograd.Function):
    """Move tokens (rows) to their places in windows."""

    @staticmethod
    def forward(
        tokens: Tensor, filler: Tensor | None, places: Places
    ) -> Tensor:
        windows = tokens.index_select(0, places.there)
        if len(places.padding):
            if filler is None:
                filler = tokens.new_zeros(())
            windows[places.padding] = filler
        return windows

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.places = inputs[2]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        places, lost = ctx.places, None
        if ctx.needs_input_grad[1]:
            lost = gradient.index_select(0, places.padding).sum(0)
        return gradient.index_select(0, places.back), lost, None


class _ToTokens(torch.autograd.Function):
    """Move places in windows (rows) back to their tokens."""

    @staticmethod
    def forward(windows: Tensor, places: Places) -> Tensor:
        return windows.index_select(0, places.back)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.places = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gradient = gradient.index_select(0, ctx.places.there)
        gradient[ctx.places.padding] = 0.0
        return gradient, None


class FastPatchMerging(PatchMerging):
    """Merging of 2 x 2 patches; see :class:`mmdet...PatchMerging`."""

    def forward(
        self, x: Tensor, input_size: tuple[int, int]
    ) -> tuple[Tensor, tuple[int, int]]:
        """Merge tokens (B, H * W, C) to (B, H/2 * W/2, C')."""
        height, width = input_size
        x = x.unflatten(1, (height, width))
        if height % 2 or width % 2:
            x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
        x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
        merged = x.shape[1], x.shape[3]
        # As torch's Unfold: the channels first, then the row and the column.
        x = x.permute(0, 1, 3, 5, 2, 4).flatten(3).flatten(1, 2)
        if self.norm is not None:
            x = self.norm(x)
        return self.reduction(x), merged


def _is_halving(merge: nn.Module) -> bool:
    sampler = merge.sampler
    sizes = sampler.kernel_size, sampler.stride, sampler.dilation
    return sizes == ((2, 2), (2, 2), (1, 1)) and sampler.padding == (0, 0)


_FAST: dict[type, tuple[type, Callable[[nn.Module], bool]]] = {
    ShiftWindowMSA: (FastShiftWindowMSA, lambda module: True),
    PatchMerging: (FastPatchMerging, _is_halving),
}
_PLAIN = {fast: plain for plain, (fast, _) in _FAST.items()}


def set_speed(backbone: nn.Module, fast: bool) -> None:
    """Let the blocks of a Swin compute in the fast or in mmdet's own way.

    Modules of any class but mmdet's own are left alone.
    """
    for module in backbone.modules():
        kind = type(module)
        if fast and kind in _FAST:
            replacement, fits = _FAST[kind]
            if fits(module):
                module.__class__ = replacement
        elif not fast and kind in _PLAIN:
            module.__class__ = _PLAIN[kind]


def is_fast(backbone: nn.Module) -> bool:
    """Tell whether blocks of a Swin compute in the fast way."""
    return any(type(module) in _PLAIN for module in backbone.modules())
