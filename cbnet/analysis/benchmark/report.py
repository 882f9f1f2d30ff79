"""The results of a benchmark as JSON and as tables of Markdown."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ...text_tables import text_table
from ..complexity.timing import Ratio
from .candidates import Setting
from .comparing import Result

_HEAD = (
    'candidate', 'params (M)', 'GMACs', 'median (ms)', 'p95 (ms)', 'images/s',
    'memory (MB)', 'ratio', 'ratio per MAC', 'difference',
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """The results under one setting.

    Attributes:
        setting: how all candidates were run.
        results: what was found for each.
        swept: the value that the sweep gave this setting, such as
            ``320x480``; empty without a sweep.
    """

    setting: Setting
    results: Sequence[Result]
    swept: str = ''


def as_json(points: Sequence[Point], axis: str = '') -> dict[str, Any]:
    """Return everything as numbers, texts, lists and dictionaries."""
    return dict(
        machine=machine(points[0].setting.device),
        sweep=axis,
        points=[
            dict(
                swept=point.swept,
                setting={
                    name: value
                    for name, value in asdict(point.setting).items()
                    if name != 'batch_of'
                },
                results=[one.as_json() for one in point.results],
            )
            for point in points
        ],
    )


def machine(device: str) -> dict[str, Any]:
    """Say where times were measured."""
    is_gpu = device.startswith('cuda')
    return dict(
        device=torch.cuda.get_device_name(device) if is_gpu else 'CPU',
        processor=platform.machine(),
        torch=torch.__version__,
        threads=torch.get_num_threads(),
    )


def markdown(points: Sequence[Point]) -> str:
    """Lay out two tables for each setting: the passes, and their parts."""
    blocks = []
    for point in points:
        blocks += [_title(point), _passes(point.results)]
        if any(one.parts for one in point.results):
            blocks.append(_parts(point.results))
    return '\n\n'.join(blocks) + '\n'


def _title(point: Point) -> str:
    setting = point.setting
    height, width = setting.shape
    what = 'a training step' if setting.train else 'inference'
    clock = {'wall': '', 'cpu': ', CPU seconds'}[setting.clock]
    compiled = ', compiled' if setting.compiled else ''
    swept = f'{point.swept}: ' if point.swept else ''
    return (
        f'{swept}{what} of the {setting.only}, {setting.batch} x {height} x '
        f'{width} (images x height x width), {setting.dtype}, '
        f'{setting.device}{compiled}{clock}'
    )


def _passes(results: Sequence[Result]) -> str:
    rows = [
        [
            one.name,
            f'{one.parameters / 1e6:.1f}',
            '-' if one.macs is None else f'{one.macs / 1e9:.2f}',
            f'{1e3 * one.times.median:.1f}',
            f'{1e3 * one.times.p95:.1f}',
            f'{one.images:.2f}',
            f'{one.memory / 2**20:.0f}',
            _shown(one.ratio),
            _shown(one.per_flop),
            '-' if one.difference is None else f'{one.difference:.1e}',
        ]
        for one in results
    ]
    return text_table(_HEAD, rows)


def _shown(ratio: Ratio | None) -> str:
    if ratio is None:
        return '-'
    return f'{ratio.median:.3f} ({ratio.low:.3f} to {ratio.high:.3f})'


def _parts(results: Sequence[Result]) -> str:
    names = dict.fromkeys(name for one in results for name in one.parts)
    rows = [
        [name, *(_cell(one.parts, name) for one in results)] for name in names
    ]
    total = [f'{1e3 * sum(one.parts.values()):.1f}' for one in results]
    heads = [f'{one.name} (ms)' for one in results]
    return text_table(['part', *heads], rows, ['all', *total])


def _cell(parts: Mapping[str, float], name: str) -> str:
    return f'{1e3 * parts[name]:.1f}' if name in parts else '-'
