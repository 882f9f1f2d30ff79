"""Models: the composite backbone, its members, assistant supervision."""

from .backbones import CompositeBackbone
from .detectors import AssistedDetector
from .members import TimmBackbone
from .necks import SimpleFeaturePyramid

__all__ = [
    'AssistedDetector',
    'CompositeBackbone',
    'SimpleFeaturePyramid',
    'TimmBackbone',
]
