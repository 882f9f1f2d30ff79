"""Inference: a trained detector on images, videos and COCO results."""

from .inferencer import Inferencer

__all__ = ['Inferencer']
