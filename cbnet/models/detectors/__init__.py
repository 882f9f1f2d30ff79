"""Detectors: assistant supervision for any mmdet detector."""

from .assistance import AssistantSupervision, AssistedDetector, assisted

__all__ = ['AssistantSupervision', 'AssistedDetector', 'assisted']
