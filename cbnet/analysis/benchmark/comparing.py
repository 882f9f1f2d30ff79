"""Run candidates in turn, and compare their times and what they compute."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch

from ..complexity.timing import Ratio, Times, alternate, ratio
from .candidates import Candidate
from .evaluating import evaluation_seconds
from .memory import peak_of


@dataclass(frozen=True)
class Result:
    """What was found for a candidate.

    Attributes:
        name: its name.
        parameters: the number of parameters.
        macs: the multiply-accumulates of inference on an image, or None.
        times: the times of its passes.
        images: the images per second.
        memory: the peak of the bytes of tensors in a pass, with the weights.
        parts: the median seconds of each part of a pass, in passes of their
            own, in which the device is waited for between the parts.
        ratio: its times over those of the reference, round by round.
        per_flop: that ratio over the ratio of multiply-accumulates, or None.
        difference: the largest difference of its maps to the reference's,
            relative to the largest value; None if their shapes differ or
            their weights are not the same.
    """

    name: str
    parameters: int
    macs: int | None
    times: Times
    images: float
    memory: int
    parts: Mapping[str, float]
    ratio: Ratio
    per_flop: Ratio | None
    difference: float | None

    def as_json(self) -> dict[str, Any]:
        """Return everything as numbers, texts, lists and dictionaries."""
        more = dict(median=self.times.median, p95=self.times.p95)
        return asdict(self) | dict(times=asdict(self.times) | more)


def compare(
    candidates: Sequence[Candidate],
    rounds: int = 10,
    warm_up: int = 2,
    part_passes: int = 3,
) -> list[Result]:
    """Measure candidates in turn.

    Args:
        candidates: the candidates; the first is the reference.
        rounds: the passes of each that are timed.
        warm_up: the passes before them that are not.
        part_passes: the passes that are timed part by part; 0: none.
    """
    times = alternate({c.name: c.seconds for c in candidates}, rounds, warm_up)
    parts = {c.name: part_medians(c, part_passes) for c in candidates}
    reference = candidates[0]
    expected = reference.outputs()
    found = []
    for one in candidates:
        own = times[one.name]
        slower = ratio(own, times[reference.name])
        per_flop = None
        if one.macs and reference.macs:
            per_flop = slower / (one.macs / reference.macs)
        found.append(
            Result(
                one.name,
                one.parameters,
                one.macs,
                own,
                one.setting.batch / own.median,
                peak_memory(one),
                parts[one.name],
                slower,
                per_flop,
                difference(one, reference, expected),
            )
        )
    return found


def part_medians(candidate: Candidate, passes: int) -> dict[str, float]:
    """Time the parts in some passes; give the median of each."""
    found = [candidate.parts() for _ in range(passes)]
    setting = candidate.setting
    if setting.only == 'detector' and not setting.train:
        for one in found:
            one['evaluation'] = evaluation_seconds(candidate)
    names = dict.fromkeys(name for one in found for name in one)
    return {n: median(one.get(n, 0.0) for one in found) for n in names}


def peak_memory(candidate: Candidate) -> int:
    """Measure the memory of a pass and of the candidate's own weights."""
    device = torch.device(candidate.setting.device)
    weights = candidate.detector.state_dict().values()
    own = sum(one.numel() * one.element_size() for one in weights)
    return own + peak_of(candidate.seconds, device)


def difference(
    candidate: Candidate,
    reference: Candidate,
    expected: Sequence[torch.Tensor],
) -> float | None:
    """Compare maps; None where two models are not the same."""
    own, other = (
        {name: weight for name, weight in c.detector.state_dict().items()}
        for c in (candidate, reference)
    )
    if own.keys() != other.keys():
        return None
    if not all(torch.equal(own[name], other[name]) for name in own):
        return None
    found = candidate.outputs()
    if [a.shape for a in found] != [b.shape for b in expected]:
        return None
    largest = max(float(one.abs().max()) for one in expected)
    pairs = zip(found, expected, strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs) / (largest or 1.0)
