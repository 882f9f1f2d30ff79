"""Read the entries of a battle: texts, presets, and lists in files."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ..arguments import check_settings, check_value, explained
from ..errors import UserValueError
from ..messages import brief
from .entries import Entry, EntryOptions, read_entry
from .presets import PRESETS


def read_entries(texts: Iterable[str]) -> list[Entry]:
    """Read the entries of ``--entries``.

    Args:
        texts: texts of entries, names of ``PRESETS``, and YAML files with
            lists of entries. An item of a file is a text, or a mapping with
            ``entry`` (the text) and optionally the ``EntryOptions`` and
            ``cfg`` (overrides of the config).

    Raises:
        ValueError: a text or a file is wrong, or two entries have one name;
            says which.
    """
    entries = [entry for text in texts for entry in _expanded(text)]
    if not entries:
        raise UserValueError('--entries: there is no entry in it; name one')
    known: dict[str, Entry] = {}
    for entry in entries:
        if other := known.get(entry.folder.lower()):
            raise UserValueError(
                f'--entries: {other.name!r} and {entry.name!r} have one name, '
                f'so their runs would be mixed up; leave one of them out, or '
                f'give it a name: "{entry.name}, name=..."'
            )
        known[entry.folder.lower()] = entry
    return entries


def _expanded(text: str) -> Iterator[Entry]:
    if text in PRESETS:
        yield from map(read_entry, PRESETS[text])
        return
    if not text.endswith(('.yaml', '.yml')):
        yield read_entry(text)
        return
    file = Path(text)
    if not file.is_file():
        raise UserValueError(f'--entries: no file {file}')
    with explained(f'--entries {file} is no YAML file'):
        content = yaml.safe_load(file.read_text())
    if isinstance(content, Mapping) and set(content) == {'entries'}:
        content = content['entries']
    if not isinstance(content, list):
        raise UserValueError(
            f'--entries {file} holds {brief(content)}, expected a list of '
            f'entries, such as "- 2x resnet50"'
        )
    for number, item in enumerate(content, start=1):
        try:
            yield _from_item(item)
        except (TypeError, ValueError) as error:
            raise UserValueError(f'{file}, item {number}: {error}') from error


def _from_item(item: Any) -> Entry:
    if isinstance(item, str):
        return read_entry(item)
    if not isinstance(item, Mapping) or 'entry' not in item:
        raise UserValueError(
            f'it is {brief(item)}, expected a text, or entry: TEXT with '
            f'name: and cfg: beside it'
        )
    item = dict(item)
    entry = read_entry(str(item.pop('entry')))
    changes = item.pop('cfg', None) or {}
    check_value('cfg', dict[str, Any], changes)
    check_settings('the entry', EntryOptions, item)
    name = item.get('name') or entry.name
    options = replace(entry.options, **item)
    return replace(entry, name=name, options=options, changes=changes)
