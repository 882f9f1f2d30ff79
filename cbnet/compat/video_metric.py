"""Evaluate masks of videos, as YouTube-VIS does, with today's numpy.

mmdet 3.3.0 asks numpy for ``float``, an alias that numpy 1.24 has removed, and
fails after the whole evaluation.
"""

from typing import Any

import numpy as np
from mmdet.evaluation.functional import ytviseval


class _WithFloat:
    """numpy, with the name that is missing."""

    float = float

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def evaluate_videos() -> None:
    """Give mmdet's module the name, and nobody else."""
    if not hasattr(np, 'float'):
        ytviseval.np = _WithFloat()
