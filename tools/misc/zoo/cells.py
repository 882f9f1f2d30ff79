"""Write the cells of the model zoo's tables."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from .entries import AP, Entry, Figure, Zoo
from .recipes import Recipe

VAL, TEST_DEV = 'COCO-val2017', 'COCO-test-dev'
# the letter behind a figure
LETTERS = {'published': 'ᵖ', 'converted': 'ᶜ', 'measured': 'ᵐ'}
NOTHING = '-'
_DIGITS = str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹')


def figure_cell(
    figure: Figure | None, zoo: Zoo | None = None, metric: str = ''
) -> str:
    """Write a figure and its mark.

    Args:
        figure: the figure; None is written as ``-``.
        zoo: the zoo, if the number of the figure's source is to follow.
        metric: the name of the metric; AP has one decimal.
    """
    if figure is None:
        return NOTHING
    is_ap = metric.startswith(AP)
    value = f'{figure.value:{".1f" if is_ap else "g"}}'
    return value + mark(figure, zoo)


def mark(figure: Figure, zoo: Zoo | None) -> str:
    """Write the letter of a figure and, given a zoo, its source's number."""
    letter = LETTERS[figure.mark]
    if zoo is None:
        return letter
    number = list(zoo.sources).index(figure.source) + 1
    return letter + str(number).translate(_DIGITS)


def aps(entry: Entry, metric: str, zoo: Zoo | None = None) -> str:
    """Write AP on val2017 / on test-dev, or else on another data set."""
    pair = [entry.find(metric, dataset) for dataset in (VAL, TEST_DEV)]
    if any(pair):
        last = 2 if pair[1] else 1
        return ' / '.join(figure_cell(f, zoo, metric) for f in pair[:last])
    for (dataset, name), figure in entry.figures.items():
        if name == metric:
            return f'{figure_cell(figure, zoo, metric)}, {dataset}'
    return NOTHING


def cost(entry: Entry, zoo: Zoo | None = None) -> str:
    """Write the memory that training needs."""
    return _on_machine(entry, {'memory (GB)': 'GB'}, zoo)


def speed(entry: Entry, zoo: Zoo | None = None) -> str:
    """Write the speed of inference and the time of a training step."""
    units = {'images per second': 'images/s', 'seconds per step': 's/step'}
    return _on_machine(entry, units, zoo)


def _on_machine(entry: Entry, units: dict[str, str], zoo: Zoo | None) -> str:
    """Write the figures of some metrics, each with its unit and machine."""
    known = [
        f'{figure.value:g} {unit}{mark(figure, zoo)}'
        + (f', {figure.where}' if figure.where else '')
        for metric, unit in units.items()
        if (figure := entry.find(metric))
    ]
    return '; '.join(known) or NOTHING


def rate(recipe: Recipe) -> str:
    """Write a learning rate, such as 0.02 or 1e-4."""
    if recipe.rate >= 0.001:
        return f'{recipe.rate:g}'
    return f'{Decimal(str(recipe.rate)).normalize():e}'


def length(entry: Entry, recipes: Mapping[str, Recipe]) -> str:
    """Write the length of training; a continuation shows both parts."""
    recipe = recipes[entry.name]
    if not recipe.by_epoch:
        return f'{recipe.length} steps'
    before = entry.metadata.get('Continues')
    trained = f'{recipes[before].length} + ' if before else ''
    return f'{trained}{recipe.length}'


def config_link(entry: Entry, root: str) -> str:
    """Link a model's name to its config."""
    return f'[`{entry.name}`]({root}{entry.config})'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table; characters that end a cell are escaped."""
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join(
        f'| {" | ".join(map(_escape, cells))} |' for cells in lines
    )


def _escape(cell: str) -> str:
    return ' '.join(cell.replace('|', r'\|').split())
