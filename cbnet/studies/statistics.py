"""The mean of a few seeds, and how far it can be trusted."""

from collections.abc import Collection, Sequence
from statistics import fmean

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


def interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean, and half the width of its interval.

    The interval is that of Student's t for a confidence of 95 %. For
    differences that are paired over seeds, it takes out what the seeds have
    in common.

    Args:
        values: one value of each seed.

    Returns:
        The mean, and the half width; None if there is only one value.
    """
    mean = fmean(values)
    if len(values) < 2:
        return mean, None
    t = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)
    return mean, float(t * stats.sem(values))


def deviation(values: Collection[float]) -> float | None:
    """Return the standard deviation over the seeds; None for one seed."""
    return float(np.std([*values], ddof=1)) if len(values) > 1 else None
