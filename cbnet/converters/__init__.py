"""Converters: published files into ours, one detector into all members."""

from .published_backbone import convert_published_backbone
from .published_weights import convert_published

__all__ = ['convert_published', 'convert_published_backbone']
