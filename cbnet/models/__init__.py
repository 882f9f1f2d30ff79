"""Models: the composite backbone, its members, assistant supervision."""

from .backbones import CompositeBackbone
from .detectors import AssistedDetector
from .members import Member, TimmBackbone
from .necks import SimpleFeaturePyramid

__all__ = [
    'AssistedDetector',
    'CompositeBackbone',
    'Member',
    'SimpleFeaturePyramid',
    'TimmBackbone',
]
