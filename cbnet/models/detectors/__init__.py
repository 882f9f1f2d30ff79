"""Detectors: assistant supervision, and test-time augmentation, of any."""

from .assistance import AssistantSupervision, AssistedDetector, assisted
from .htc import StageMeanHTCRoIHead
from .tta import MaskTTAModel

__all__ = [
    'AssistantSupervision',
    'AssistedDetector',
    'MaskTTAModel',
    'StageMeanHTCRoIHead',
    'assisted',
]
