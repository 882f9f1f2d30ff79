"""Where the stages of a backbone begin, read from a traced pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import NeedsValuesError, UserValueError
from .base import StageSpec
from .layouts import Found, Layout, equal_map, find_order, recognise
from .trace import Call, Trace


@dataclass(frozen=True)
class Entry:
    """The module where a stage begins.

    Attributes:
        name: the module's name in the backbone.
        argument: which of its positional arguments is the stage's input.
        layout: how that argument holds a map.
        stride: the input pixels per position of the stage's input.
    """

    name: str
    argument: int
    layout: Layout
    stride: int


@dataclass(frozen=True)
class Anatomy:
    """The stages of a backbone.

    Attributes:
        entries: where each stage begins.
        specs: the shapes at both ends of each stage.
        pieces: the names of the modules that are first called in the stem
            and in each stage; ``''`` is the backbone itself.
        units: the names of the outermost modules that are called once, and
            wholly in the stem or in one stage.
        rest: the names of the modules that are not called, or not before the
            last map is there.
    """

    entries: tuple[Entry, ...]
    specs: tuple[StageSpec, ...]
    pieces: tuple[tuple[str, ...], ...]
    units: tuple[tuple[str, ...], ...]
    rest: frozenset[str]


def find_stages(
    backbone: nn.Module,
    traced: Trace,
    names: Sequence[str] | None = None,
    strides: Sequence[int] | None = None,
    prefix: int = 0,
) -> Anatomy:
    """Find where the stages begin and what belongs to each.

    Args:
        backbone: the traced backbone.
        traced: the pass; its maps end the stages.
        names: the names of the modules that yield the maps, as far as they
            are known; a wrong one is corrected by comparing values.
        strides: the strides of the maps, if they are known.
        prefix: the likely number of tokens before those of a map.

    Raises:
        ValueError: a stage has no module of its own at which it begins.
        NeedsValuesError: values have to be compared, but the backbone is
            on the meta device.
    """
    maps = traced.maps
    ends = [
        _end(traced, i, names[i] if names else None) for i in range(len(maps))
    ]
    starts = [_first_start(traced, ends[0], maps[0], prefix)]
    entries, ins, bounds = [], [], []
    for i, end in enumerate(ends):
        if i > 0:
            starts = [c for c in traced.calls if c.start > ends[i - 1].end]
        for start in starts:
            place = _place(traced, start, i, ends, prefix)
            if start.start <= end.end and place is not None:
                break
        else:
            raise UserValueError(
                f'no module begins stage {i} with a map in a known layout'
            )
        call, argument, found = place
        stride = _stride(traced.size, found.size, strides)
        entries.append(Entry(call.name, argument, found.layout, stride))
        ins.append(found)
        bounds.append(start.start)
    if len({entry.name for entry in entries}) < len(entries):
        raise UserValueError('one module begins several stages')
    specs = tuple(
        StageSpec(
            found.channels,
            entry.stride,
            y.shape[1],
            strides[i] if strides else _stride(traced.size, y.shape[-2:]),
        )
        for i, (found, entry, y) in enumerate(
            zip(ins, entries, maps, strict=True)
        )
    )
    last = max(end.end for end in ends)
    called = {call.name for call in traced.calls if call.start < last}
    rest = {name for name, _ in backbone.named_modules()} - called
    pieces, units = _pieces(backbone, traced, bounds)
    return Anatomy(tuple(entries), specs, pieces, units, frozenset(rest))


def _end(traced: Trace, i: int, name: str | None) -> Call:
    """Find the call that yields the map of a stage, the last one of them."""
    wanted = traced.maps[i]
    named = [call for call in traced.calls if call.name == name]
    same = [call for call in traced.calls if call.result is wanted]
    if wanted.is_meta:
        end = max(named or same, key=lambda call: call.end, default=None)
        if end is None or not _has_matrix(end.module):
            raise NeedsValuesError(
                'values cannot be compared on the meta device'
            )
        return end
    equal = [call for call in traced.calls if equal_map(call.result, wanted)]
    found = (
        [call for call in equal if call in named]
        or [call for call in named if find_order(call.result, wanted)]
        or (not name and same)  # two norms of one map are equal at first
        or equal
    )
    if not found:
        raise UserValueError(f'no module returns the map of stage {i}')
    end = max(found, key=lambda call: call.end)
    if _has_matrix(end.module):
        return end
    # An activation, perhaps in the next block, of what a block returned.
    blocks = [
        call
        for call in traced.calls
        if call.end < end.start
        and _has_matrix(call.module)
        and isinstance(call.result, Tensor)
        and call.result.shape == wanted.shape
        and equal_map(F.relu(call.result), wanted)
    ]
    return max(blocks, key=lambda call: call.end, default=end)


def _first_start(
    traced: Trace, end: Call, wanted: Tensor, prefix: int
) -> Call:
    """Find the call that begins stage 0.

    Among the calls beside the one that yields the map, the stem ends with
    the first that reaches the map's resolution and with modules without
    matrices (norms, pooling) behind it.
    """
    beside = [
        call
        for call in traced.calls
        if call.parent is end.parent and call.start <= end.start
    ]
    for k, call in enumerate(beside[:-1]):
        found = recognise(call.result, traced.size, prefix)
        if found is None or found.size[0] > wanted.shape[-2]:
            continue
        rest = (
            c
            for c in beside[k + 1 :]
            if _has_matrix(c.module)
            and any(recognise(a, traced.size, prefix) for a in c.arguments)
        )
        return next(rest, end)
    return end


def _has_matrix(module: nn.Module) -> bool:
    return any(p.ndim > 1 for p in module.parameters())


def _place(
    traced: Trace, start: Call, i: int, ends: Sequence[Call], prefix: int
) -> tuple[Call, int, Found] | None:
    """Look for an input of stage ``i`` among the arguments of a call.

    Activation checkpointing in timm calls the children of a container and
    not the container, whose hooks therefore would not run.
    """
    call = start
    while isinstance(call.module, nn.Sequential):
        child = traced.first_inside(call)
        if child is None or child.arguments[:1] != call.arguments[:1]:
            break
        call = child
    if traced.is_called_once(call):
        for k, value in enumerate(call.arguments):
            found = _layout(value, traced, i, ends, prefix)
            if found is not None:
                return call, k, found
    return None


def _layout(
    value: Any, traced: Trace, i: int, ends: Sequence[Call], prefix: int
) -> Found | None:
    """Recognise how an argument holds the input of stage ``i``."""
    # Tokens may be in another order, such as that of windows.  It shows where
    # the same tokens are emitted, at the end of the last stage or of this one.
    for k in (i - 1, i):
        wanted = traced.maps[k]
        if k < 0 or wanted.is_meta or not isinstance(value, Tensor):
            continue
        if equal_map(ends[k].result, wanted):
            continue
        order = find_order(ends[k].result, wanted)
        if value.ndim > 2 and order and len(order) == value[0, ..., 0].numel():
            layout = Layout('ordered tokens', order=order)
            return Found(layout, value.shape[-1], tuple(wanted.shape[-2:]))
    return recognise(value, traced.size, prefix)


def _stride(
    image: tuple[int, int],
    size: tuple[int, int],
    known: Sequence[int] | None = None,
) -> int:
    """Tell the stride of a map of this (H, W)."""
    measured = image[0] / size[0]
    usual = (*(known or ()), 1, 2, 4, 8, 14, 16, 32, 64)
    near = min(usual, key=lambda stride: abs(stride - measured))
    exact = all(-(-a // near) == b for a, b in zip(image, size, strict=True))
    close = abs(near - measured) < 0.45 * measured
    return near if exact or close else round(measured)


def _pieces(
    backbone: nn.Module, traced: Trace, bounds: Sequence[int]
) -> tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]:
    """Sort modules, and the outermost calls, into the stem and the stages."""
    pieces: list[list[str]] = [[] for _ in range(len(bounds) + 1)]
    units: list[list[str]] = [[] for _ in range(len(bounds) + 1)]
    first: dict[str, int] = {'': 0}
    inside: set[int] = set()  # the calls inside units
    for call in traced.calls:
        piece = sum(call.start >= bound for bound in bounds)
        first.setdefault(call.name, piece)
        if id(call.parent) in inside:
            inside.add(id(call))
        elif not any(call.start < bound < call.end for bound in bounds):
            inside.add(id(call))
            if traced.is_called_once(call):
                units[piece].append(call.name)
    for name, _ in backbone.named_modules():
        known = name
        while known not in first:
            known = known.rpartition('.')[0]
        pieces[first[known]].append(name)
    return tuple(map(tuple, pieces)), tuple(map(tuple, units))
