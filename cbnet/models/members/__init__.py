"""Members: adapters that run an unmodified backbone stage by stage."""

from .base import STEM, MemberAdapter, MemberRun, StageSpec
from .hooked import HookedAdapter
from .registry import (
    adapt,
    build_member,
    register_adapter,
    served_backbones,
)
from .resnet import ResNetAdapter
from .settings import Member
from .settled import SettledAdapter, innermost, is_frozen, settings_of
from .swin import SwinAdapter
from .timm import TimmAdapter, TimmBackbone

__all__ = [
    'STEM',
    'HookedAdapter',
    'Member',
    'MemberAdapter',
    'MemberRun',
    'ResNetAdapter',
    'SettledAdapter',
    'StageSpec',
    'SwinAdapter',
    'TimmAdapter',
    'TimmBackbone',
    'adapt',
    'build_member',
    'innermost',
    'is_frozen',
    'register_adapter',
    'served_backbones',
    'settings_of',
]
