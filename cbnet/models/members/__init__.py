"""Members: adapters that add to the stage inputs of a backbone."""

from .base import STEM, MemberAdapter, MemberRun, StageSpec
from .hooked import HookedAdapter
from .plain import PlainAdapter
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
    'PlainAdapter',
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
