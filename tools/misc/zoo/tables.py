"""Write the model zoo's tables in Markdown.

Every function takes the zoo, the recipes by name, and the path from the
folder of the page to the root of the repository, '' or '../'.
"""

from collections.abc import Mapping
from typing import TypeAlias

from .cells import (
    TEST_DEV,
    VAL,
    aps,
    config_link,
    cost,
    figure_cell,
    length,
    rate,
    speed,
    table,
)
from .entries import AP, Entry, Zoo
from .recipes import Recipe

Recipes: TypeAlias = Mapping[str, Recipe]

COST = ('Parameters (M)', 'FLOPs (G)')


def models_table(zoo: Zoo, recipes: Recipes, root: str) -> str:
    """Write the AP and the cost of the featured models."""
    head = ('config', 'model', 'box AP', 'mask AP', 'M', 'GFLOPs')
    rows = [
        [config_link(entry, root), _model(entry, recipes)]
        + [aps(entry, metric) for metric in AP]
        + [figure_cell(entry.find(name)) for name in COST]
        for entry in _originals(zoo)
        if entry.metadata.get('Featured')
    ]
    return table(head, rows)


def published_table(zoo: Zoo, recipes: Recipes, root: str) -> str:
    """Write each figure on COCO and the published files."""
    head = (
        'config', 'model', 'members from', 'box AP val', 'box AP test-dev',
        'mask AP val', 'mask AP test-dev', 'M', 'GFLOPs', 'published file',
    )  # fmt: skip
    rows = []
    for entry in _originals(zoo):
        if not entry.on_coco:
            continue
        url = entry.metadata.get('Published File')
        first = [_model(entry, recipes), entry.metadata['Pretrained On']]
        rows.append(
            [config_link(entry, root), *first, *_aps_apart(zoo, entry, '')]
            + [figure_cell(entry.find(name), zoo) for name in COST]
            + [f'[.pth.zip]({url})' if url else '-']
        )
        if entry.find(f'{AP[0]} TTA'):
            rows.append(
                [f'{config_link(entry, root)}, TTA', *first]
                + _aps_apart(zoo, entry, ' TTA')
                + [''] * 3
            )
    return table(head, rows)


def recipes_table(zoo: Zoo, recipes: Recipes, root: str) -> str:
    """Write the recipe of each model and what training needs."""
    head = (
        'config', 'optimizer', 'rate', 'batch', 'epochs', 'trained at',
        'evaluated at', 'memory', 'time',
    )  # fmt: skip
    rows = []
    for entry in _originals(zoo):
        recipe = recipes[entry.name]
        rows.append(
            [
                config_link(entry, root),
                recipe.optimizer + recipe.mixed * ', mixed precision',
                rate(recipe),
                f'{recipe.gpus} x {recipe.images} = {recipe.batch}',
                length(entry, recipes),
                recipe.train_size,
                recipe.test_size,
                cost(entry, zoo),
                speed(entry, zoo),
            ]
        )
    return table(head, rows)


def small_table(zoo: Zoo, recipes: Recipes, root: str) -> str:
    """Write the models for other data than COCO, with their twins."""
    entries = [e for e in zoo.entries.values() if not e.on_coco]
    return _seen_table(entries, zoo, recipes, root)


def derived_table(zoo: Zoo, recipes: Recipes, root: str) -> str:
    """Write the twins and variants for COCO."""
    entries = [e for e in zoo.entries.values() if e.is_derived and e.on_coco]
    return _seen_table(entries, zoo, recipes, root)


def reports_table(zoo: Zoo, recipes: Recipes, root: str) -> str:
    """Write the figures of others and of further runs."""
    rows = [
        [
            config_link(zoo.entries[report.model], root)
            if report.model in zoo.entries
            else report.model,
            report.metric,
            figure_cell(report.figure, zoo, report.metric),
            report.remark,
        ]
        for report in zoo.reports
    ]
    return table(('model', 'what', 'figure', 'remark'), rows)


def sources_list(zoo: Zoo, recipes: Recipes, root: str) -> str:
    """Write the numbered list of sources."""
    lines = []
    for number, source in enumerate(zoo.sources.values(), start=1):
        text, url = source['Text'], source.get('URL')
        lines.append(f'{number}. {text}' + (f': <{url}>' if url else ''))
    return '\n'.join(lines)


def _originals(zoo: Zoo) -> list[Entry]:
    return [entry for entry in zoo.entries.values() if not entry.is_derived]


def _model(entry: Entry, recipes: Recipes) -> str:
    """Name the entry that a twin or variant is derived from, or the model."""
    for kind in ('Twin', 'Variant'):
        if f'{kind} Of' in entry.metadata:
            return f'{kind.lower()} of `{entry.origin}`'
    members = f'{recipes[entry.name].members} x {entry.metadata["Member"]}'
    swa = ', SWA' if 'Continues' in entry.metadata else ''
    return f'{entry.metadata["Detector"]}, {members}{swa}'


def _seen_table(
    entries: list[Entry], zoo: Zoo, recipes: Recipes, root: str
) -> str:
    """Write all figures of models, and what they are derived from."""
    rows = [
        [config_link(entry, root), _model(entry, recipes)]
        + [aps(entry, metric, zoo) for metric in AP]
        + [figure_cell(entry.find(name), zoo) for name in COST]
        + [cost(entry, zoo), speed(entry, zoo)]
        for entry in entries
    ]
    head = ('config', 'what', *AP, 'M', 'GFLOPs', 'memory', 'time')
    return table(head, rows)


def _aps_apart(zoo: Zoo, entry: Entry, tta: str) -> list[str]:
    return [
        figure_cell(entry.find(metric + tta, dataset), zoo, metric)
        for metric in AP
        for dataset in (VAL, TEST_DEV)
    ]
