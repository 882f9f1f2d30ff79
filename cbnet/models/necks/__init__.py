"""Necks that mmdet has in its projects only."""

from .simple_pyramid import SimpleFeaturePyramid

__all__ = ['SimpleFeaturePyramid']
