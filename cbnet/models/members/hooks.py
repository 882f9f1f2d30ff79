"""The hooks of a hooked member, and the stand-ins for what it shares.

All of them can be copied and pickled with the modules that hold them.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...errors import UserValueError
from ..statistics import recomputation_contexts
from .channel import Channel, HookedRun
from .entries import Entry


@dataclass(eq=False)
class EntryHook:
    """A forward pre-hook: add a connection's map to the first argument."""

    channel: Channel
    stage: int
    entry: Entry

    def __call__(self, module: nn.Module, args: tuple) -> tuple | None:
        """Change the arguments; None leaves them as they are."""
        run, layout = self.channel.run, self.entry.layout
        if run is None:
            return self._once_more(args)
        if self.stage < (self.channel.shared_stages or 0):
            return None  # a stand-in
        given = value = args[self.entry.argument]
        first = None
        if self.stage == self.channel.shared_stages:
            value = first = self._first_input(run, value)
        size = layout.size_of(value, run.padded, self.entry.stride)
        recording = not torch.compiler.is_compiling() and _recording()
        with _saved_as_usual() if recording else nullcontext():
            x = run.crop(layout.to_map(value, size), self.entry.stride)
            added = run.add(self.stage, tuple(x.shape[-2:]))
        run.raw[self.stage], run.inputs[self.stage] = value, x
        run.fired[self.stage] = run.fired.get(self.stage, 0) + 1
        if added is not None:
            added = _fill(added, size)
        if recording:
            self.channel.recomputed.add(self.stage)
            self.channel.kept[self._key(given)] = (added, first)
        if added is not None:
            value = layout.add(value, added)
        return None if value is given else self._replaced(args, value)

    def _first_input(self, run: HookedRun, value: Any) -> Any:
        """Give the stage input of the first member instead of this value."""
        if self.channel.same_kind:
            return run.first.raw[self.stage]
        return _fill(run.first.inputs[self.stage], value.shape[-2:])

    def _key(self, value: Any) -> Tensor:
        return value[0] if self.entry.layout.in_tuple else value

    def _once_more(self, args: tuple) -> tuple | None:
        """Add in the backward pass what was added in the forward pass."""
        if torch.compiler.is_compiling() or not self.channel.recomputed:
            return None
        if torch._C._current_graph_task_id() == -1:
            return None  # not in a backward pass: the backbone runs alone
        value = args[self.entry.argument]
        if self._key(value) not in self.channel.kept:
            raise UserValueError(
                f'activation checkpointing recomputes {self.entry.name} from '
                f'the middle of another module, where the map that a '
                f'connection added is unknown; use with_cp=True of the '
                f'composite instead'
            )
        added, first = self.channel.kept[self._key(value)]
        value = value if first is None else first
        if added is not None:
            value = self.entry.layout.add(value, added)
        return self._replaced(args, value)

    def _replaced(self, args: tuple, value: Any) -> tuple:
        k = self.entry.argument
        return (*args[:k], value, *args[k + 1 :])


def _recording() -> bool:
    """Tell whether activation checkpointing watches the forward pass."""
    top = torch._C._autograd._top_saved_tensors_default_hooks(True)
    return top is not None


def _saved_as_usual() -> AbstractContextManager:
    """Keep what the connection needs: its modules are not called again."""
    return torch.autograd.graph.saved_tensors_hooks(_same, _same)


def _same(x: Tensor) -> Tensor:
    return x


def _fill(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Add zeros to a map, below and to the right, up to this (H, W)."""
    rows, columns = size[0] - x.shape[-2], size[1] - x.shape[-1]
    return F.pad(x, (0, columns, 0, rows)) if rows or columns else x


@dataclass(eq=False)
class ResultHook:
    """A forward hook of the first member: keep what a module returns."""

    channel: Channel
    name: str

    def __call__(self, module: nn.Module, args: tuple, output: Any) -> None:
        """Keep the output for the later members of the same forward."""
        if self.channel.run is not None:
            self.channel.run.returned[self.name] = output


@dataclass(eq=False)
class StandIn:
    """The ``forward`` of a shared module: the first member's result."""

    channel: Channel
    name: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Hand out what the first member's module returned."""
        run = self.channel.run
        if run is None:
            raise UserValueError(
                f'{self.name} is shared with the first member, so this '
                f'member runs only inside its composite'
            )
        if self.channel.same_kind:
            return run.first.returned[self.name]
        return run.first.inputs[self.channel.shared_stages]


@dataclass(eq=False)
class Recomputed:
    """The ``forward`` of a module under activation checkpointing."""

    module: nn.Module

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the module; keep only its arguments for the backward pass."""
        forward: Callable = partial(type(self.module).forward, self.module)
        if not (self.module.training and torch.is_grad_enabled()):
            return forward(*args, **kwargs)
        return checkpoint(
            forward,
            *args,
            use_reentrant=False,
            context_fn=partial(recomputation_contexts, self.module),
            **kwargs,
        )
