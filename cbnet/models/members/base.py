"""The contract of a member: a backbone cut into a stem and stages.

An adapter holds an unmodified backbone, built from its ordinary config, and
runs it in pieces, so that the composite can add something at every stage
input.  With nothing added, running the pieces equals calling the backbone,
bit for bit; the tests ask that of every registered adapter.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor, nn

from ...errors import UserTypeError


@dataclass(frozen=True)
class StageSpec:
    """What goes into a stage and what comes out of it.

    Args:
        in_channels: channels of the stage's input.
        in_stride: input pixels per position of the stage's input.
        out_channels: channels of the stage's output.
        out_stride: input pixels per position of the stage's output.
    """

    in_channels: int
    in_stride: int
    out_channels: int
    out_stride: int


class MemberAdapter:
    """Run a backbone in pieces.

    ::

        image -> stem -> x0 -> run_stage 0 -> y0 -> next_input 0 -> x1 -> ...
                                              |
                                              emit 0 -> map of the pyramid

    A plain object, not a module: the composite owns the backbone itself, so
    the names of parameters stay those of the backbone.

    Args:
        backbone: the built backbone.
    """

    #: overrides of ConnectionOptions that this family's members start from
    connection: ClassVar[dict[str, Any]] = {}
    #: ``shared_stages`` of the published composites of this family
    published_shared_stages: ClassVar[int] = 1

    specs: tuple[StageSpec, ...]
    #: the config that the backbone was built from, for what it forgets
    cfg: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, backbone: nn.Module) -> None:
        self.backbone = backbone

    @property
    def out_indices(self) -> tuple[int, ...]:
        """Stages whose maps the backbone emits."""
        return tuple(self.backbone.out_indices)

    @property
    def emittable(self) -> tuple[int, ...]:
        """Stages that ``emit`` serves; the others lack what it needs."""
        return tuple(range(len(self.specs)))

    @property
    def norm_cfg(self) -> dict[str, Any] | None:
        """The backbone's norm config; connections use the same layer."""
        return getattr(self.backbone, 'norm_cfg', None)

    def stem(self, x: Tensor) -> Tensor:
        """Turn images (B, C, H, W) into the input of stage 0."""
        raise NotImplementedError

    def run_stage(self, i: int, x: Tensor) -> Tensor:
        """Turn the input of stage ``i`` into its output."""
        raise NotImplementedError

    def next_input(self, i: int, y: Tensor) -> Tensor:
        """Turn the output of stage ``i`` into the input of the next one."""
        return y

    def emit(self, i: int, y: Tensor) -> Tensor:
        """Turn the output of stage ``i`` into the pyramid's map."""
        return y

    def drop_stem(self) -> None:
        """Remove the stem: this member takes the first member's."""
        raise NotImplementedError

    def drop_stage(self, i: int) -> None:
        """Remove stage ``i``: this member takes the first member's."""
        raise NotImplementedError

    def drop_emission(self, i: int) -> None:
        """Remove what only ``emit(i, y)`` needs: nothing asks for it."""


_ADAPTERS: dict[type, type[MemberAdapter]] = {}


def register_adapter(
    *backbones: type,
) -> Callable[[type[MemberAdapter]], type[MemberAdapter]]:
    """Register an adapter class for backbone classes (a decorator)."""

    def register(adapter: type[MemberAdapter]) -> type[MemberAdapter]:
        _ADAPTERS.update(dict.fromkeys(backbones, adapter))
        return adapter

    return register


def served_backbones() -> tuple[type, ...]:
    """Backbone classes that can be members."""
    return tuple(_ADAPTERS)


def adapt(
    backbone: nn.Module, cfg: Mapping[str, Any] | None = None
) -> MemberAdapter:
    """Find the adapter of a backbone.

    A subclass of a served backbone is served too, unless it has a
    ``forward`` of its own, which the adapter would not follow.

    Args:
        backbone: the built backbone.
        cfg: the config it was built from.

    Raises:
        TypeError: where no adapter serves it; lists those that are.
    """
    for base in type(backbone).__mro__:
        if base in _ADAPTERS and type(backbone).forward is base.forward:
            adapter = _ADAPTERS[base](backbone)
            adapter.cfg = dict(cfg or {})
            return adapter
    names = ', '.join(sorted(base.__name__ for base in _ADAPTERS))
    raise UserTypeError(
        f'no adapter serves {type(backbone).__name__} as a member; served: '
        f'{names}. To add one, see docs/add_a_member.md'
    )
