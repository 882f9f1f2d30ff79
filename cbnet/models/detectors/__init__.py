"""Detectors: assistant supervision of any mmdet detector."""

from .assistance import AssistantSupervision, AssistedDetector, assisted
from .htc import StageMeanHTCRoIHead

__all__ = [
    'AssistantSupervision',
    'AssistedDetector',
    'StageMeanHTCRoIHead',
    'assisted',
]
