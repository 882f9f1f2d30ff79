"""Compile the members of a composite, each by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ...errors import UserValueError
from ...messages import did_you_mean
from ..members import MemberAdapter, MemberRun, settings_of
from ..options import Options


@dataclass(frozen=True)
class CompileOptions(Options):
    """What ``torch.compile`` is told.

    Attributes:
        backend: the name of a backend of torch.
        mode: the mode of the backend ``inductor``.
        dynamic: whether one graph serves images of all sizes; None: if the
            family of the member allows it.  Otherwise each size has a graph
            of its own.
    """

    key = 'compile'

    backend: str = 'inductor'
    mode: Literal['default', 'reduce-overhead', 'max-autotune'] | None = None
    dynamic: bool | None = None


class CompiledMembers(nn.Module):
    """A base of ``CompositeBackbone``: how its members are run.

    What is compiled is no part of the state: copies and what is unpickled
    compile again when they are first called, and no name changes.
    """

    compiles: CompileOptions | None = None

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop('_compiled', None)
        return state

    def runner_of(
        self, k: int, adapter: MemberAdapter
    ) -> Callable[..., MemberRun]:
        """Give ``_run_member`` for member ``k``, compiled if asked for."""
        cache = getattr(settings_of(adapter), 'cache', None)
        if self.compiles is None or cache is not None:
            # The maps of a cache are looked up by what an image contains.
            return _run_member
        compiled = vars(self).setdefault('_compiled', {})
        if k not in compiled:
            dynamic = self.compiles.dynamic
            if dynamic is None:
                dynamic = adapter.dynamic
            # torch allows each code a few graphs; so each member has its own.
            code = _run_member.__code__.replace(co_name=f'member_{k}')
            compiled[k] = torch.compile(
                FunctionType(code, globals(), code.co_name),
                backend=self.compiles.backend,
                mode=self.compiles.mode,
                dynamic=dynamic,
            )
        return compiled[k]


def _run_member(
    adapter: MemberAdapter,
    x: Tensor,
    add: Callable,
    end: int,
    first: MemberRun | None,
    emitted: set[int],
) -> MemberRun:
    """Run the stages of a member before ``end``, and emit some maps."""
    run = adapter.run(x, add, end, first)
    for i in emitted:
        run.maps[i] = adapter.emit(i, run.outputs[i])
    return run


def settle_compile(given: bool | dict[str, Any]) -> CompileOptions | None:
    """Settle how members are compiled; None: not at all.

    Raises:
        ValueError: torch has no such backend.
    """
    if given is False:
        return None
    options = CompileOptions().updated(None if given is True else given)
    known = torch.compiler.list_backends(exclude_tags=())
    if options.backend not in known:
        raise UserValueError(
            f'compile: backend={options.backend!r}; expected one of '
            f'{", ".join(known)}{did_you_mean(options.backend, known)}'
        )
    return options
