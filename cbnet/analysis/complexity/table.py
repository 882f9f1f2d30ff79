"""Present the cost of detectors: tables and sentences."""

from collections.abc import Iterable, Mapping
from dataclasses import astuple

from ...text_tables import text_table
from .figures import Complexity, Part

_COLUMNS = {  # heading -> unit, in the order of the fields of a Part
    'parameters [M]': 1e6,
    'trainable [M]': 1e6,
    'MACs [G]': 1e9,
    'published rule [G]': 1e9,
    'training [G]': 1e9,
    'assistance [G]': 1e9,
}


def part_table(found: Complexity) -> str:
    """Lay out one row for each part, and the sum."""
    rows = [[name, *_cells(part)] for name, part in found.parts.items()]
    return text_table(
        ['part', *_COLUMNS], rows, footer=['total', *_cells(found.total)]
    )


def total_table(found: Mapping[str, Complexity]) -> str:
    """Lay out the sums of several configs, one row for each."""
    rows = [[name, *_cells(one.total)] for name, one in found.items()]
    return text_table(['config', *_COLUMNS], rows)


def notes(found: Complexity) -> list[str]:
    """Explain the numbers of a config, one sentence per line."""
    kinds = (f'{kind} {n / 1e9:.2f} G' for kind, n in found.kinds.items())
    lines = [f'MACs by operation: {", ".join(kinds)}']
    for title, stages in {
        'inference': found.inference_rois,
        'training, each member with losses': found.training_rois,
    }.items():
        if stages:
            heads = [f'{_either(rois.boxes for rois in stages)} boxes']
            if 'roi_head.mask_head' in found.parts:
                heads += [f'{_either(rois.masks for rois in stages)} masks']
            lines += [f'RoIs of each stage in {title}: {", ".join(heads)}']
    if not found.uncounted:
        total = found.total
        plain = total.training - total.assistance
        lines.append(
            f'training adds no parameters; assistance (assistants with '
            f'losses: {found.assistants}) adds {total.assistance / 1e9:.2f} G '
            f'to its forward pass, {total.assistance / plain:.1%}'
        )
    return lines


def _either(numbers: Iterable[int]) -> str:
    return ' or '.join(map(str, sorted(set(numbers))))


def _cells(part: Part) -> list[str]:
    """Write the numbers of a part in the units of the columns."""
    return [
        '-' if number is None else f'{number / unit:.2f}'
        for number, unit in zip(astuple(part), _COLUMNS.values(), strict=True)
    ]
