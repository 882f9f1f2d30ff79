"""Detectors: assistant supervision of any mmdet detector."""

from .assistance import AssistantSupervision
from .factory import AssistedDetector, assisted
from .htc import StageMeanHTCRoIHead

__all__ = [
    'AssistantSupervision',
    'AssistedDetector',
    'StageMeanHTCRoIHead',
    'assisted',
]
