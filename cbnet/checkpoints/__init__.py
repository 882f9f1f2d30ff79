"""Checkpoints: pretrained files into members, published layouts to ours."""

from .official import convert_official
from .official_config import convert_official_backbone

__all__ = ['convert_official', 'convert_official_backbone']
