"""Write what a battle has found: tables, and one page for a browser."""

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from ..atomic_files import write_whole
from ..studies.numbers import in_unit, number, plus_minus
from .charts import charts
from .pictures import pictures
from .results import Results
from .tables import COSTS, TAKEN, as_csv, as_json, as_markdown, rows
from .words import paragraphs


def write_tables(results: Results, folder: Path) -> list[Path]:
    """Write the tables of what is done so far; give the files."""
    texts = {
        'results.md': as_markdown(results),
        'results.csv': as_csv(results),
        'results.json': json.dumps(as_json(results), indent=1) + '\n',
    }
    for name, text in texts.items():
        write_whole(folder / name, text.encode())
    return [folder / name for name in texts]


def write_page(
    results: Results, folder: Path, images: Mapping[str, Path]
) -> Path:
    """Write the report as one HTML file, which needs no network.

    Args:
        results: the results.
        folder: the folder of the battle.
        images: the folder of the images of the test split by data set.
    """
    # Checked before anything is trained, see ``require_packages``.
    import jinja2
    from plotly.offline import get_plotlyjs

    loader = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined
    )
    source = resources.files(__package__) / 'report.html.j2'
    drawn = [*charts(results)]
    columns = _columns(results)
    text = loader.from_string(source.read_text(encoding='utf-8')).render(
        entries=results.entries,
        datas=results.datas,
        identity=results.manifest['identity'],
        reference=results.reference,
        words=paragraphs(results),
        columns=columns,
        table=[_cells(row, results) for row in rows(results)],
        charts=drawn,
        figures=[_plain(chart.figure) for chart in drawn],
        pictures=[*pictures(results, folder, images)],
        facts=[*_facts(results.manifest)],
        plotly=get_plotlyjs(),
    )
    file = folder / 'report.html'
    write_whole(file, text.encode())
    return file


def _plain(figure: dict[str, Any]) -> dict[str, Any]:
    """Leave out plotly's template, and turn arrays into lists."""
    from plotly.utils import PlotlyJSONEncoder

    layout = {k: v for k, v in figure['layout'].items() if k != 'template'}
    content = dict(data=figure['data'], layout=layout)
    return json.loads(json.dumps(content, cls=PlotlyJSONEncoder))


def _columns(results: Results) -> list[str]:
    names = ['data', 'entry', 'seeds', 'rate']
    for kind in results.kinds:
        names += [f'{kind} AP', f'{kind} AP50', f'{kind} AP75']
        names += [f'{kind} small', f'{kind} medium', f'{kind} large']
        names += ['to the reference', 'images', 'seeds ±', 'noise']
        if results.corruptions:
            names += [f'{kind} AP corrupted', f'{kind} robustness']
    names += ['z-score', *(COSTS[key][0] for key in _shown(results))]
    names += [TAKEN[key][0] for key in _taken(results)]
    return [*names, 'failed']


def _taken(results: Results) -> list[str]:
    found = results.results.values()
    return [
        key
        for key in TAKEN
        if any(one.taken(key) is not None for one in found)
    ]


def _shown(results: Results) -> list[str]:
    costs = results.costs.values()
    return [
        key
        for key in COSTS
        if any(getattr(cost, key) is not None for cost in costs)
    ]


def _cells(row: Mapping[str, Any], results: Results) -> list[dict[str, Any]]:
    cells = [_cell(row['data']), _cell(row['entry']), _cell(row['seeds'])]
    cells.append(_cell(row['lr'], number(row['lr'], '{:g}')))
    for kind in results.kinds:
        ap, spread = row[f'{kind} AP'], row[f'{kind} AP spread']
        cells.append(_cell(ap, plus_minus(ap, spread)))
        for name in ('AP50', 'AP75', 'APs', 'APm', 'APl'):
            value = row[f'{kind} {name}']
            cells.append(_cell(value, number(value)))
        apart = row[f'{kind} AP difference']
        low = row[f'{kind} AP difference low']
        high = row[f'{kind} AP difference high']
        seeds = row[f'{kind} AP difference seeds']
        noise = row[f'{kind} AP inside noise']
        between = '-'
        if low is not None:
            between = f'{low:+.3f} to {high:+.3f}'
        cells += [
            _cell(apart, number(apart, '{:+.3f}')),
            _cell(low, between),
            _cell(seeds, number(seeds)),
            _cell({None: '', True: 'inside', False: 'outside'}[noise]),
        ]
        if results.corruptions:
            kept = row[f'{kind} relative robustness']
            mean = row[f'{kind} AP corrupted']
            spread = row[f'{kind} AP corrupted spread']
            cells.append(_cell(mean, plus_minus(mean, spread)))
            cells.append(_cell(kept, number(kept)))
    cells.append(_cell(row['z-score'], number(row['z-score'], '{:+.2f}')))
    for key in _shown(results):
        value, (_, unit, digits) = row[key], COSTS[key]
        cells.append(_cell(value, in_unit(value, unit, digits)))
    for key in _taken(results):
        value, (_, unit, digits) = row[f'training_{key}'], TAKEN[key]
        cells.append(_cell(value, in_unit(value, unit, digits)))
    return [*cells, _cell(row['failed'])]


def _cell(value: Any, text: str | None = None) -> dict[str, Any]:
    if value is None:
        return dict(value='', text=text or '-')
    return dict(value=value, text=str(value) if text is None else text)


def _facts(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what has to be known to repeat a battle."""
    for key, value in manifest['identity'].items():
        if value not in (None, False):
            yield key.replace('_', ' '), str(value)
    for name, data in manifest['data'].items():
        counts = ', '.join(f'{n} {role}' for role, n in data['images'].items())
        yield (
            f'data {name}',
            (
                f'images: {counts}; {data["note"]}; fingerprint '
                f'{data["fingerprint"]}'
            ),
        )
    about = manifest['environment']
    packages = (f'{name} {v}' for name, v in about['packages'].items())
    yield 'packages', f'cbnet {about["cbnet"]}, {", ".join(packages)}'
    if 'revision' in about:
        yield 'revision', about['revision']
    yield 'system', f'Python {about["python"]}, {about["system"]}'
    yield 'devices', '; '.join(about['devices'])
