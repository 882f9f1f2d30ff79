"""Converters: published layouts into ours, one detector into all members."""

from .published_backbone import convert_official_backbone
from .published_weights import convert_official

__all__ = ['convert_official', 'convert_official_backbone']
