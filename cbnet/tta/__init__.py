"""Test-time augmentation of boxes and masks."""

from .model import MaskTTAModel

__all__ = ['MaskTTAModel']
