"""How much of its AP an entry keeps on corrupted images."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from statistics import fmean

from ..studies.statistics import deviation
from .corruptions import Condition
from .figures import Figures


@dataclass(frozen=True)
class Robustness:
    """The AP of an entry, each a mean over the seeds with all conditions.

    Attributes:
        clean: the AP on the images as they are.
        corrupted: the mean AP over all conditions, thus over corruptions and
            levels.
        spread: the standard deviation of ``corrupted`` over the seeds; None
            for one seed.
        corruptions: the mean AP over the levels, by corruption.
    """

    clean: float
    corrupted: float
    spread: float | None
    corruptions: Mapping[str, float]

    @property
    def relative(self) -> float | None:
        """The part of the clean AP that is left; None if there was none."""
        return self.corrupted / self.clean if self.clean else None


def robustness(
    clean: Mapping[int, Figures],
    corrupted: Mapping[int, Mapping[Condition, Figures]],
    conditions: Collection[Condition],
    figure: str,
) -> Robustness | None:
    """Summarize the seeds that have all conditions.

    Args:
        clean: the figures on the images as they are, by seed.
        corrupted: those on corrupted images, by seed and condition.
        conditions: the conditions to average over, the same for all entries
            that are compared.
        figure: the name of the figure, such as ``box AP``.

    Returns:
        The summary; None if no seed has all conditions.
    """
    found: dict[int, dict[Condition, float]] = {}
    for seed, figures in clean.items():
        done = corrupted.get(seed, {})
        values = {
            one: done[one].figures.get(figure)
            for one in conditions
            if one in done
        }
        known = [figures.figures.get(figure), *values.values()]
        if conditions and len(values) == len(conditions):
            if None not in known:
                found[seed] = values
    if not found:
        return None
    means = [fmean(values.values()) for values in found.values()]
    names = dict.fromkeys(one.corruption for one in conditions)
    return Robustness(
        fmean(clean[seed].figures[figure] for seed in found),
        fmean(means),
        deviation(means),
        {
            name: fmean(
                value
                for values in found.values()
                for one, value in values.items()
                if one.corruption == name
            )
            for name in names
        },
    )
