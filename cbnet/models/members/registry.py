"""Find the adapter that makes a backbone a member."""

from collections.abc import Callable, Mapping
from typing import Any

from mmdet.registry import MODELS
from mmengine.config import Config
from torch import nn

from ...arguments import check_value, explained
from ...errors import UserTypeError
from ..options import InitConfig
from .base import MemberAdapter

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
    """List the backbone classes that can be members."""
    return tuple(_ADAPTERS)


def build_member(
    k: int, cfg: Mapping[str, Any] | Config | nn.Module
) -> MemberAdapter:
    """Build the backbone of member ``k``, if it is not built, and adapt it.

    Raises:
        TypeError: if no adapter serves the backbone.
        ValueError: if the backbone does not accept its config.
    """
    backbone, built = cfg, isinstance(cfg, nn.Module)
    name = type(cfg).__name__ if built else cfg['type']
    if not built:
        check_value(f'member {k}: init_cfg', InitConfig, cfg.get('init_cfg'))
        with explained(f'member {k}: {name} does not accept its arguments'):
            backbone = MODELS.build(cfg)
    with explained(f'member {k}: {name} cannot be run stage by stage'):
        adapter = adapt(backbone, cfg)
        adapter.out_indices, adapter.emittable  # these may raise  # noqa: B018
        return adapter


def adapt(
    backbone: nn.Module, cfg: Mapping[str, Any] | nn.Module | None = None
) -> MemberAdapter:
    """Find the adapter of a backbone.

    A subclass of a served backbone is served too, unless it has a
    ``forward`` of its own, which the adapter would not follow.

    Args:
        backbone: the built backbone.
        cfg: the config that it was built from, if it was.

    Raises:
        TypeError: if no adapter serves it; names the served backbones.
    """
    for base in type(backbone).__mro__:
        if base in _ADAPTERS and type(backbone).forward is base.forward:
            adapter = _ADAPTERS[base](backbone)
            adapter.cfg = (
                dict(cfg) if isinstance(cfg, Mapping | Config) else {}
            )
            return adapter
    names = ', '.join(sorted(base.__name__ for base in _ADAPTERS))
    raise UserTypeError(
        f'{type(backbone).__name__} cannot be a member, because no adapter '
        f'serves it; served: {names}. To add one, see docs/add_a_member.md'
    )
