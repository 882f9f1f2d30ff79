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
from .swin import SwinAdapter
from .timm import TimmAdapter, TimmBackbone

__all__ = [
    'STEM',
    'HookedAdapter',
    'MemberAdapter',
    'MemberRun',
    'ResNetAdapter',
    'StageSpec',
    'SwinAdapter',
    'TimmAdapter',
    'TimmBackbone',
    'adapt',
    'build_member',
    'register_adapter',
    'served_backbones',
]
