"""Find the adapter that makes a backbone a member."""

from collections.abc import Callable, Mapping
from typing import Any

from mmdet.models.backbones import TridentResNet
from mmdet.registry import MODELS
from mmengine.config import Config
from torch import nn

from ...arguments import check_value, explained
from ...errors import UserTypeError, UserValueError
from ..options import InitConfig
from .base import MemberAdapter
from .plain import PlainAdapter
from .settings import Member, has_settings
from .settled import SettledAdapter

_ADAPTERS: dict[type, type[MemberAdapter]] = {}
_REFUSED: dict[type, str] = {
    TridentResNet: 'in training it returns one map for each branch'
}


def register_adapter(
    *backbones: type,
) -> Callable[[type[MemberAdapter]], type[MemberAdapter]]:
    """Register an adapter class for backbone classes (a decorator)."""

    def register(adapter: type[MemberAdapter]) -> type[MemberAdapter]:
        _ADAPTERS.update(dict.fromkeys(backbones, adapter))
        return adapter

    return register


def served_backbones() -> tuple[type, ...]:
    """List the backbone classes with an adapter of their own."""
    return tuple(_ADAPTERS)


def build_member(
    k: int, cfg: Mapping[str, Any] | Config | nn.Module | Member
) -> MemberAdapter:
    """Build the backbone of member ``k``, if it is not built, and adapt it.

    Args:
        k: the number of the member, for errors.
        cfg: the config of a backbone or of a ``Member``, or one of them.

    Raises:
        TypeError: if no adapter serves the backbone.
        ValueError: if the backbone does not accept its config.
    """
    if has_settings(cfg):
        settings = cfg if isinstance(cfg, Member) else MODELS.build(cfg)
        if has_settings(settings.backbone):
            raise UserValueError(
                f'member {k}: the backbone of a Member is a Member; give all '
                f'settings to one of them'
            )
        inner = build_member(k, settings.backbone)
        return SettledAdapter(inner, settings, f'member {k}')
    backbone, built = cfg, isinstance(cfg, nn.Module)
    name = type(cfg).__name__ if built else cfg['type']
    if not built:
        check_value(f'member {k}: init_cfg', InitConfig, cfg.get('init_cfg'))
        with explained(f'member {k}: {name} does not accept its arguments'):
            backbone = MODELS.build(cfg)
    with explained(f'member {k}: {name} cannot be a member'):
        adapter = adapt(backbone, cfg)
        adapter.out_indices, adapter.emittable  # these may raise  # noqa: B018
        return adapter


def adapt(
    backbone: nn.Module, cfg: Mapping[str, Any] | nn.Module | None = None
) -> MemberAdapter:
    """Find the adapter of a backbone.

    A subclass of a backbone with an adapter of its own has the same one,
    unless it has a ``forward`` of its own, which that adapter would not
    follow.  Every other backbone runs as it is (``plain.py``).

    Args:
        backbone: the built backbone.
        cfg: the config that it was built from, if it was.

    Raises:
        TypeError: if it cannot be a member; says why.
    """
    adapter = None
    for base in type(backbone).__mro__:
        if base in _REFUSED:
            raise _refusal(backbone, _REFUSED[base])
        if base in _ADAPTERS and type(backbone).forward is base.forward:
            adapter = _ADAPTERS[base](backbone)
            break
    if adapter is None:
        try:
            adapter = PlainAdapter(backbone)
        except UserValueError as error:
            raise _refusal(backbone, error) from error
    adapter.cfg = dict(cfg) if isinstance(cfg, Mapping | Config) else {}
    return adapter


def _refusal(backbone: nn.Module, reason: Any) -> UserTypeError:
    return UserTypeError(
        f'{type(backbone).__name__} cannot be a member: {reason}. To serve '
        f'it with an adapter of its own, see docs/add_a_member.md'
    )
