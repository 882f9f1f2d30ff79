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
from .swin import SwinAdapter
from .timm import TimmAdapter, TimmBackbone

__all__ = [
    'STEM',
    'HookedAdapter',
    'MemberAdapter',
    'MemberRun',
    'PlainAdapter',
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
