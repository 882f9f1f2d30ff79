"""Write the tables, sentences and pictures of the evidence page."""

from pathlib import Path
from statistics import fmean

from matplotlib.figure import Figure
from zoo.marked_blocks import fill_blocks

from cbnet.analysis.plain_texts import plain_figure
from cbnet.errors import UserValueError
from cbnet.messages import listed
from cbnet.studies.numbers import plus_minus
from cbnet.studies.statistics import deviation
from cbnet.text_tables import text_table

from .figures import KINDS, Evidence

PAGE = 'evidence.md'
_COLOURS = 'C0', 'C1'
_MARKS = 'osD^vP'
#: the entries of a study that the others are compared with, too
ALSO = {
    'generated': ('2x tf_efficientnet_lite0',),
    'levers': ('tf_efficientnet_lite0',),
    'domain': ('frozen Lite2 of the domain + Lite0',),
}
#: the studies whose AP is drawn against the time of training, too
TIMED = ('generated',)


def write_page(evidence: Evidence, folder: Path) -> None:
    """Write the page and the pictures of its studies.

    Args:
        evidence: the figures.
        folder: the folder of the documentation.

    Raises:
        ValueError: the page lacks a block.
    """
    page = folder / PAGE
    page.write_text(_filled(evidence, page))
    for study in evidence.studies():
        figure = draw_study(evidence, study)
        figure.savefig(folder / 'figures' / f'evidence_{study}.png')
        if study in TIMED:
            figure = draw_times(evidence, study)
            figure.savefig(folder / 'figures' / f'evidence_{study}_time.png')


def find_stale(evidence: Evidence, folder: Path) -> bool:
    """Tell whether the page differs from what its files give."""
    page = folder / PAGE
    return _filled(evidence, page) != page.read_text()


def _filled(evidence: Evidence, page: Path) -> str:
    try:
        return fill_blocks(page.read_text(), _blocks(evidence))
    except UserValueError as error:
        raise UserValueError(
            f'{page}: {error}; write them where the table belongs'
        ) from error


def _blocks(evidence: Evidence) -> dict[str, str]:
    return {
        f'evidence: {study}, {data}': '\n\n'.join(
            [
                study_table(evidence, study, data),
                *(
                    words(evidence, study, data, reference)
                    for reference in (None, *ALSO.get(study, ()))
                ),
            ]
        )
        for study in evidence.studies()
        for data in evidence.datas(study)
    }


def study_table(evidence: Evidence, study: str, data: str) -> str:
    """Lay out the figures of a data set: a row for each entry."""
    head = ['entry', 'seeds']
    for kind in KINDS:
        head += [f'{kind} AP', 'to the first']
    head += ['MACs', 'parameters [M]', 'trained [M]', 'step']
    entries = evidence.entries(study)
    first = evidence.cost(study, entries[0])
    rows = []
    for entry in entries:
        values = evidence.values(study, data, entry, 'box AP')
        if not values:
            continue
        row = [entry, len(values)]
        for kind in KINDS:
            figure = f'{kind} AP'
            row.append(_mean(evidence.values(study, data, entry, figure)))
            row.append(_apart(evidence.difference(study, data, entry, figure)))
        cost = evidence.cost(study, entry)
        row += [_ratio(cost, first, 'macs'), _millions(cost, 'parameters')]
        row += [_millions(cost, 'trained'), _ratio(cost, first, 'step')]
        rows.append(row)
    return text_table(head, rows)


def _mean(values: dict[int, float]) -> str:
    if not values:
        return '-'
    return plus_minus(fmean(values.values()), deviation(values.values()))


def _apart(found: tuple[float, float | None] | None) -> str:
    return '-' if found is None else plus_minus(*found, '{:+.3f}')


def _ratio(cost: dict[str, float], first: dict[str, float], key: str) -> str:
    known = key in cost and key in first
    return f'{cost[key] / first[key]:.2f}' if known else '-'


def _millions(cost: dict[str, float], key: str) -> str:
    return f'{cost[key] / 1e6:.2f}' if key in cost else '-'


def words(
    evidence: Evidence, study: str, data: str, reference: str | None = None
) -> str:
    """Say which differences are outside the noise, and which are not.

    Args:
        evidence: the figures.
        study: the study.
        data: the data set.
        reference: the entry to compare with; None stands for the first one.
    """
    others = evidence.entries(study)
    reference = reference or others[0]
    sentences = []
    for kind in KINDS:
        outside, inside = [], 0
        for entry in others:
            found = evidence.difference(
                study, data, entry, f'{kind} AP', reference
            )
            if found is None:
                continue
            mean, half = found
            if half is None or abs(mean) <= half:
                inside += 1
            else:
                outside.append(f'{entry} ({mean:+.3f})')
        if not (inside or outside):
            continue
        text = f'In {kind} AP, '
        if outside:
            text += (
                f'these differ from {reference} by more than the interval '
                f'over the seeds: {listed(outside, 20)}.'
            )
            if inside:
                text += ' All others are inside the noise.'
        else:
            text += f'every difference to {reference} is inside the noise.'
        sentences.append(text)
    return ' '.join(sentences)


def draw_study(evidence: Evidence, study: str) -> Figure:
    """Draw the AP of each entry: a point for each seed, a bar for the mean."""
    datas = evidence.datas(study)
    entries = evidence.entries(study)
    size = 3.2 + 3.4 * len(datas), 0.9 + 0.36 * len(entries)
    figure = Figure(size, 110, facecolor='white', layout='constrained')
    panels = figure.subplots(1, len(datas), sharey=True, squeeze=False)[0]
    for axes, data in zip(panels, datas, strict=True):
        for row, entry in enumerate(entries):
            _draw_entry(axes, evidence, (study, data, entry), row)
        axes.set_title(data, fontsize=11, loc='left')
        axes.set_yticks(range(len(entries)), entries, fontsize=8)
        axes.grid(axis='x', alpha=0.3)
    panels[0].set_ylim(len(entries) - 0.5, -0.5)  # the first one above
    handles = [
        panels[0].plot([], [], ls='', color=colour, marker='o')[0]
        for colour in _COLOURS
    ]
    figure.legend(
        handles, [f'{kind} AP' for kind in KINDS],
        loc='outside lower center', ncols=2, frameon=False,
    )  # fmt: skip
    return plain_figure(figure)


def _draw_entry(
    axes, evidence: Evidence, of: tuple[str, str, str], row: int
) -> None:
    for kind, colour, up in zip(KINDS, _COLOURS, (-0.15, 0.15), strict=True):
        values = [*evidence.values(*of, f'{kind} AP').values()]
        if values:
            heights = [row + up] * len(values)
            axes.plot(values, heights, 'o', color=colour, alpha=0.6, ms=4)
            mean = sum(values) / len(values)
            axes.plot([mean], [row + up], 'k|', ms=10, mew=1.5)


def draw_times(evidence: Evidence, study: str) -> Figure:
    """Draw the AP of each entry on the first data set against its time.

    The time is that of a training, as a ratio to that of the first entry;
    bars are standard deviations over the seeds.
    """
    figure = Figure((9.5, 3.6), 110, facecolor='white', layout='constrained')
    panels = figure.subplots(1, len(KINDS))
    data, *_ = evidence.datas(study)
    entries = evidence.entries(study)
    first = evidence.seconds(study, entries[0])
    for axes, kind in zip(panels, KINDS, strict=True):
        for number, entry in enumerate(entries):
            values = evidence.values(study, data, entry, f'{kind} AP').values()
            seconds = evidence.seconds(study, entry)
            if first and seconds and values:
                axes.errorbar(
                    seconds / first, fmean(values), deviation(values),
                    fmt=_MARKS[number % len(_MARKS)], ms=6, label=entry,
                )  # fmt: skip
        axes.set_xlabel('time of training, ratio to the first')
        axes.set_title(f'{data}: {kind} AP', fontsize=11, loc='left')
        axes.grid(alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc='outside right center', frameon=False, fontsize=8
    )
    return plain_figure(figure)
