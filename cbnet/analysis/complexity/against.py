"""What one detector costs against another one, to train and to use."""

from collections.abc import Sequence
from typing import Any

from ...messages import listed
from ...text_tables import text_table
from .figures import Complexity
from .step import Step


def against_table(
    before: Complexity, after: Complexity, steps: Sequence[Step] | None
) -> str:
    """Lay out the costs of two detectors, and their ratios.

    Args:
        before: the cost of the first detector.
        after: the cost of the second one.
        steps: what a training step of each costs, if it was measured.
    """
    old, new = before.total, after.total
    rows = [
        _row('parameters [M]', old.parameters, new.parameters, 1e6),
        _row('trained [M]', old.trainable, new.trainable, 1e6),
        _row('MACs of inference [G]', old.macs, new.macs, 1e9),
    ]
    if steps:
        kept, seconds = zip(*((s.kept, s.seconds) for s in steps), strict=True)
        rows += [
            _row('activations kept [MB]', *kept, 1e6),
            _row('time of a step [s]', *seconds, 1),
        ]
    return text_table(['', 'before', 'after', 'ratio'], rows)


def _row(title: str, before: Any, after: Any, unit: float) -> list[str]:
    if before is None or after is None:
        return [title, '-', '-', '-']
    ratio = f'{after / before:.2f}' if before else '-'
    return [title, f'{before / unit:.2f}', f'{after / unit:.2f}', ratio]


def trained_parts(found: Complexity) -> list[str]:
    """Say which parts are trained and which are not, one sentence each."""
    lines = []
    for title, trained in (('trained', True), ('not trained', False)):
        counts = {
            name: part.trainable
            if trained
            else part.parameters - part.trainable
            for name, part in found.parts.items()
        }
        parts = (f'{name} {n / 1e6:.2f} M' for name, n in counts.items() if n)
        lines.append(f'{title}: {listed(parts, 20) or "nothing"}')
    return lines
