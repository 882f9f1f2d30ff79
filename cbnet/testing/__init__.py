"""Tiny members and detectors, for tests, docs and trying things out."""

from .tiny import (
    TINY_MEMBERS,
    build_model,
    make_batch,
    tiny_composite,
    tiny_detector,
)

__all__ = [
    'TINY_MEMBERS',
    'build_model',
    'make_batch',
    'tiny_composite',
    'tiny_detector',
]
