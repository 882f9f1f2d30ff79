"""The tables of a battle: Markdown, CSV and JSON."""

import csv
import io
from collections.abc import Mapping
from typing import Any

from ..messages import number_of
from ..studies.numbers import in_unit, number
from ..text_tables import text_table
from .costs import EntryCost
from .results import Results
from .words import paragraphs

_FIGURES = 'AP', 'AP50', 'AP75', 'APs', 'APm', 'APl'
#: an attribute of a cost -> heading, unit and digits
COSTS = {
    'parameters': ('parameters [M]', 1e6, 2),
    'trained': ('trained [M]', 1e6, 2),
    'macs': ('MACs [G]', 1e9, 2),
    'latency': ('latency [ms]', 1e-3, 1),
    'latency_p95': ('95 % below [ms]', 1e-3, 1),
    'throughput': ('images/s', 1, 1),
    'step': ('training step [s]', 1, 3),
    'kept': ('activations kept [MB]', 1e6, 1),
    'memory_inference': ('GPU memory, inference [MB]', 1e6, 0),
    'memory_training': ('GPU memory, training [MB]', 1e6, 0),
}
#: what a training took -> heading, unit and digits
TAKEN = {
    'seconds': ('training [s]', 1, 0),
    'memory': ('memory of the process, training [MB]', 1e6, 0),
    'energy': ('energy, training [kJ]', 1e3, 1),
}
#: the costs that an entry can be best at
FRONTS = 'latency', 'parameters', 'macs'


def rows(results: Results) -> list[dict[str, Any]]:
    """Give one flat row for each entry on each data set.

    AP is in the range from 0 to 1; times are in seconds, memory in bytes
    where the name does not say another unit.
    """
    z = results.z_scores()
    found = []
    for (data, name), one in results.results.items():
        row: dict[str, Any] = dict(data=data, entry=name)
        row |= dict(seeds=len(one.seeds), lr=one.lr)
        for kind in results.kinds:
            for figure in _FIGURES:
                key = f'{kind} {figure}'
                row[key] = one.mean(key)
            row[f'{kind} AP spread'] = one.spread(f'{kind} AP')
            apart = results.difference(data, name, results.reference, kind)
            row[f'{kind} AP difference'] = apart and apart.mean
            row[f'{kind} AP difference low'] = apart and apart.low
            row[f'{kind} AP difference high'] = apart and apart.high
            row[f'{kind} AP difference seeds'] = apart and apart.seeds
            row[f'{kind} AP inside noise'] = apart and apart.noise
            row |= _robustness(results, data, name, kind)
            own = one.classes(kind)
            row |= {f'{kind} AP of {c}': own.get(c) for c in results.classes}
        row['z-score'] = z.get(name)
        cost = results.costs.get(name)
        row |= {key: cost and getattr(cost, key) for key in COSTS}
        row |= {f'training_{key}': one.taken(key) for key in TAKEN}
        row['training_memory_MB'] = one.training_memory
        row['failed'] = '; '.join(
            f'{number_of(count, "runs")}: {reason}'
            for reason, count in one.reasons.items()
        )
        found.append(row)
    return found


def _robustness(
    results: Results, data: str, name: str, kind: str
) -> dict[str, float | None]:
    """Give the cells of corrupted images, if there are any."""
    names = results.corruptions
    if not names:
        return {}
    found = results.robustness(data, name, kind)
    each = found.corruptions if found else {}
    return {
        f'{kind} AP corrupted': found and found.corrupted,
        f'{kind} AP corrupted spread': found and found.spread,
        f'{kind} relative robustness': found and found.relative,
    } | {f'{kind} AP {one}': each.get(one) for one in names}


def as_csv(results: Results) -> str:
    """Write the rows as CSV; what is not known is empty."""
    table = rows(results)
    file = io.StringIO()
    writer = csv.DictWriter(file, [*table[0]] if table else ['data'])
    writer.writeheader()
    writer.writerows(table)
    return file.getvalue()


def as_json(results: Results) -> dict[str, Any]:
    """Give everything, with each seed and each class."""
    return dict(
        battle=results.manifest,
        reference=results.reference,
        words=paragraphs(results),
        rows=rows(results),
        costs={name: vars(one) for name, one in results.costs.items()},
        fronts={key: results.front(key) for key in FRONTS},
        conditions={
            data: [vars(one) for one in results.conditions(data)]
            for data in results.datas
        },
        runs=[
            dict(
                data=data,
                entry=name,
                seed=seed,
                figures=one.figures,
                classes=one.classes,
                corrupted=[
                    vars(condition) | dict(figures=on.figures)
                    for condition, on in found.corrupted[seed].items()
                ],
            )
            for (data, name), found in results.results.items()
            for seed, one in found.seeds.items()
        ],
    )


def as_markdown(results: Results) -> str:
    """Write the sentences and the tables."""
    parts = paragraphs(results)
    for data in results.datas:
        about = results.manifest['data'][data]
        parts += [f'## {data}', f'The splits: {about["note"]}.']
        parts.append(_ap_table(results, data))
        for kind in results.kinds:
            parts.append(_class_table(results, data, kind))
        if results.conditions(data):
            for kind in results.kinds:
                parts.append(_corruption_table(results, data, kind))
    parts += ['## Costs', cost_table(results.costs)]
    return '\n\n'.join(parts) + '\n'


def _ap_table(results: Results, data: str) -> str:
    head = ['entry', 'seeds', 'rate']
    for kind in results.kinds:
        head += [f'{kind} {name}' for name in _FIGURES]
        head += ['spread', 'to the reference', 'images', 'seeds ±', 'noise']
    head += ['z-score', 'failed']
    table = []
    for row in rows(results):
        if row['data'] != data:
            continue
        cells = [row['entry'], row['seeds'], number(row['lr'], '{:g}')]
        for kind in results.kinds:
            cells += [number(row[f'{kind} {name}']) for name in _FIGURES]
            apart = f'{kind} AP difference'
            low, high = row[f'{apart} low'], row[f'{apart} high']
            noise = row[f'{kind} AP inside noise']
            cells += [
                number(row[f'{kind} AP spread']),
                number(row[apart], '{:+.3f}'),
                '-' if low is None else f'{low:+.3f} to {high:+.3f}',
                number(row[f'{apart} seeds']),
                '-' if noise is None else 'inside' if noise else 'outside',
            ]
        cells += [number(row['z-score'], '{:+.2f}'), row['failed'] or '-']
        table.append(cells)
    return text_table(head, table)


def _class_table(results: Results, data: str, kind: str) -> str:
    found = {
        name: results.results[data, name].classes(kind)
        for name in results.entries
    }
    names = results.manifest['data'][data]['classes']
    table = [
        [entry, *(number(classes.get(name)) for name in names)]
        for entry, classes in found.items()
    ]
    return text_table([f'{kind} AP', *names], table)


def _corruption_table(results: Results, data: str, kind: str) -> str:
    conditions = results.conditions(data)
    names = [*dict.fromkeys(one.corruption for one in conditions)]
    keys = [f'{kind} AP corrupted', f'{kind} relative robustness']
    keys += [f'{kind} AP {name}' for name in names]
    table = [
        [row['entry'], *(number(row[key]) for key in keys)]
        for row in rows(results)
        if row['data'] == data
    ]
    head = [f'{kind} AP on corrupted images', 'mean', 'relative robustness']
    return text_table([*head, *names], table)


def cost_table(costs: Mapping[str, EntryCost]) -> str:
    """Lay out what the entries cost, without columns that are empty.

    Below the table, it says why entries could not be measured.
    """
    keys = [
        key
        for key in COSTS
        if any(getattr(cost, key) is not None for cost in costs.values())
    ]
    table = []
    for name, cost in costs.items():
        cells = [name]
        for key in keys:
            _, unit, digits = COSTS[key]
            cells.append(in_unit(getattr(cost, key), unit, digits))
        table.append(cells)
    text = text_table(['entry', *(COSTS[key][0] for key in keys)], table)
    failed = [
        f'{name} cannot be measured: {cost.failed}'
        for name, cost in costs.items()
        if cost.failed
    ]
    return '\n\n'.join([text, *failed])
