"""The cost of a model: parameters and multiply-accumulates of each part."""

from .measure import check_shape, measure, measure_detector

__all__ = ['check_shape', 'measure', 'measure_detector']
