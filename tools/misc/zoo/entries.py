"""Read the metafiles of the model zoo: the models and their figures.

A metafile has the format of model indexes (mim, mmengine) and three more
keys: ``Mark`` and ``Source`` say where the figures of a result come from, and
``Reports`` hold figures that do not result from the model's own recipe.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cbnet.errors import UserValueError
from cbnet.messages import did_you_mean

MARKS = ('published', 'converted', 'measured')
AP = ('box AP', 'mask AP')
METRICS = (
    *AP,
    *(f'{name} TTA' for name in AP),
    'Parameters (M)',
    'FLOPs (G)',
    'memory (GB)',
    'seconds per step',
    'images per second',
)
# The keys that name the entry which another one is derived from.
ORIGINS = ('Twin Of', 'Variant Of', 'Continues')
_OWN = (*ORIGINS, 'Published File')


@dataclass(frozen=True)
class Figure:
    """A figure and its origin.

    Attributes:
        value: the number; AP is in percent, and the names of the other
            metrics contain their units.
        mark: one of ``MARKS``.
        source: a key of the metafiles' ``Sources``.
        where: the machine, for times and memory.
    """

    value: float
    mark: str
    source: str
    where: str = ''


@dataclass(frozen=True)
class Report:
    """A figure that does not result from a model's own recipe."""

    model: str
    metric: str
    remark: str
    figure: Figure


@dataclass(frozen=True)
class Entry:
    """A model of the zoo.

    Attributes:
        name: the file name of its config, without ``.py``.
        config: the config's path below the root.
        metadata: the metafile's ``Metadata``; twins, variants and
            continuations inherit missing keys from their origin.
        figures: the figures by data set and metric.
    """

    name: str
    config: str
    metadata: dict[str, str]
    figures: dict[tuple[str, str], Figure] = field(default_factory=dict)

    @property
    def origin(self) -> str | None:
        """The name of the entry that this one is derived from, if any."""
        return next(filter(None, map(self.metadata.get, ORIGINS)), None)

    @property
    def is_derived(self) -> bool:
        """Whether the entry is a twin or variant, with its origin's recipe."""
        return 'Twin Of' in self.metadata or 'Variant Of' in self.metadata

    @property
    def on_coco(self) -> bool:
        """Whether the model is trained on COCO, as its collection is."""
        return 'Training Data' not in self.metadata

    def find(self, metric: str, dataset: str | None = None) -> Figure | None:
        """Return the first figure of a metric, for one or any data set."""
        for (of, name), figure in self.figures.items():
            if name == metric and dataset in (None, of):
                return figure
        return None


@dataclass(frozen=True)
class Zoo:
    """All models.

    Attributes:
        metafiles: the paths of the metafiles below the root.
        entries: the models by name, in the order of the metafiles.
        reports: the figures that do not result from a model's own recipe.
        sources: the ``Text`` and ``URL`` of each source of figures.
    """

    metafiles: list[str] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)
    sources: dict[str, dict[str, str]] = field(default_factory=dict)


def read_zoo(root: str | os.PathLike) -> Zoo:
    """Read ``configs/*/metafile.yml`` below a folder.

    Raises:
        ValueError: a figure has no mark, a source or metric is unknown, a
            config has no entry, ...; the message names the metafile and
            the model.
    """
    root = Path(root)
    files = sorted(root.glob('configs/*/metafile.yml'))
    if not files:
        raise UserValueError(f'there is no configs/*/metafile.yml in {root}')
    zoo = Zoo()
    for file in files:
        name = file.relative_to(root).as_posix()
        try:
            _read_metafile(zoo, root, file)
        except (ValueError, yaml.YAMLError) as error:
            raise UserValueError(f'{name}: {error}') from None
        zoo.metafiles.append(name)
    for entry in zoo.entries.values():
        _inherit(zoo, entry)
    return zoo


def _read_metafile(zoo: Zoo, root: Path, file: Path) -> None:
    content = yaml.safe_load(file.read_text(encoding='utf-8'))
    zoo.sources.update(content.get('Sources', {}))
    for collection in content.get('Collections', []):
        _read_reports(zoo, collection, collection['Name'])
    configs = []
    for model in content['Models']:
        entry = _read_model(zoo, model)
        if entry.name in zoo.entries:
            raise UserValueError(f'{entry.name} occurs twice')
        if not (root / entry.config).is_file():
            raise UserValueError(f'{entry.name}: there is no {entry.config}')
        configs.append(entry.config)
        zoo.entries[entry.name] = entry
    for path in sorted(file.parent.glob('*.py')):
        path = path.relative_to(root).as_posix()
        if path not in configs:
            raise UserValueError(f'{path} has no entry; add one below Models')


def _read_model(zoo: Zoo, model: dict[str, Any]) -> Entry:
    name, config = (_need(model, key, '') for key in ('Name', 'Config'))
    if Path(config).stem != name:
        raise UserValueError(f'{name}: its Name is not that of {config}')
    entry = Entry(name, config, dict(model.get('Metadata', {})))
    for result in model.get('Results', []):
        dataset = _need(result, 'Dataset', name)
        for metric, value in _need(result, 'Metrics', name).items():
            _one_of('metric', metric, METRICS, name)
            if (dataset, metric) in entry.figures:
                raise UserValueError(f'{name}: two of {metric} on {dataset}')
            figure = _figure(zoo, result, value, f'{name}, {metric}')
            entry.figures[dataset, metric] = figure
    _read_reports(zoo, model, name)
    return entry


def _read_reports(zoo: Zoo, holder: dict[str, Any], name: str) -> None:
    for report in holder.get('Reports', []):
        metric = _need(report, 'Metric', name)
        value = _need(report, 'Value', name)
        figure = _figure(zoo, report, value, f'{name}, report of {metric}')
        remark = _need(report, 'Remark', name)
        model = report.get('Model', name)
        zoo.reports.append(Report(model, metric, remark, figure))


def _figure(
    zoo: Zoo, result: dict[str, Any], value: Any, place: str
) -> Figure:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserValueError(f'{place}: {value!r} is not a number')
    mark = _need(result, 'Mark', place)
    _one_of('Mark', mark, MARKS, place)
    source = _need(result, 'Source', place)
    _one_of('Source', source, zoo.sources, place)
    return Figure(value, mark, source, result.get('Where', ''))


def _need(holder: dict[str, Any], key: str, place: str) -> Any:
    if holder.get(key) is None:
        place = f'{place}: ' if place else ''
        raise UserValueError(f'{place}{key} is missing in {holder}')
    return holder[key]


def _one_of(key: str, found: str, names: Iterable[str], place: str) -> None:
    if found not in names:
        raise UserValueError(
            f'{place}: {key} {found!r} is none of {", ".join(names)}'
            f'{did_you_mean(found, names)}'
        )


def _inherit(zoo: Zoo, entry: Entry, via: tuple[str, ...] = ()) -> None:
    """Fill in the metadata that an entry inherits from its origin."""
    if entry.origin is None:
        return
    if entry.name in via:
        raise UserValueError(f'{entry.name} is derived from itself')
    if entry.origin not in zoo.entries:
        raise UserValueError(
            f'{entry.name}: there is no entry {entry.origin!r} to be derived '
            f'from{did_you_mean(entry.origin, zoo.entries)}'
        )
    origin = zoo.entries[entry.origin]
    _inherit(zoo, origin, (*via, entry.name))
    for key, value in origin.metadata.items():
        if key not in _OWN:
            entry.metadata.setdefault(key, value)
