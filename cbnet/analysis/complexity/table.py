"""Lay out what ``complexity`` counted: tables and sentences."""

from collections.abc import Mapping
from dataclasses import astuple

from terminaltables import AsciiTable

from .figures import Complexity, Part

_COLUMNS = (
    'parameters [M]',
    'trainable [M]',
    'MACs [G]',
    'published rule [G]',
    'training [G]',
    'of it assistance [G]',
)
_UNITS = (1e6, 1e6, 1e9, 1e9, 1e9, 1e9)


def part_table(found: Complexity) -> str:
    """Lay out one row for each part, and the sum."""
    rows = [(name, part) for name, part in found.parts.items()]
    return _table('part', [*rows, ('total', found.total)], last_apart=True)


def total_table(found: Mapping[str, Complexity]) -> str:
    """Lay out one row for each config: its sums."""
    return _table('config', [(name, one.total) for name, one in found.items()])


def notes(found: Complexity) -> list[str]:
    """Say what the numbers of a config stand for, one sentence a line."""
    lines = [
        'MACs by operation: '
        + ', '.join(
            f'{kind} {macs / 1e9:.2f} G' for kind, macs in found.kinds.items()
        )
    ]
    for title, stages in (
        ('inference', found.inference_rois),
        ('training, each member with losses', found.training_rois),
    ):
        if stages:
            boxes = _either({rois.boxes for rois in stages})
            masks = _either({rois.masks for rois in stages})
            masks = (
                f', {masks} masks'
                if 'roi_head.mask_head' in found.parts
                else ''
            )
            lines.append(
                f'RoIs of each stage in {title}: {boxes} boxes{masks}'
            )
    if not found.uncounted:
        total = found.total
        plain = total.training - total.assistance
        lines.append(
            f'training adds no parameters; assistance (assistants with '
            f'losses: {found.assistants}) adds {total.assistance / 1e9:.2f} G '
            f'to its forward pass, {total.assistance / plain:.1%}'
        )
    return lines


def _either(numbers: set[int]) -> str:
    return ' or '.join(map(str, sorted(numbers)))


def _table(
    first: str, rows: list[tuple[str, Part]], last_apart: bool = False
) -> str:
    cells = [[first, *_COLUMNS]]
    for name, part in rows:
        pairs = zip(astuple(part), _UNITS, strict=True)
        cells.append([name, *(_shown(*pair) for pair in pairs)])
    table = AsciiTable(cells)
    table.inner_footing_row_border = last_apart
    table.justify_columns = dict.fromkeys(range(1, len(cells[0])), 'right')
    return table.table


def _shown(value: int | None, unit: float) -> str:
    return '-' if value is None else f'{value / unit:.2f}'
