"""What a model costs: parameters and multiply-accumulates, part by part."""

from .measure import check_shape, measure, measure_detector

__all__ = ['check_shape', 'measure', 'measure_detector']
