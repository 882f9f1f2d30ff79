"""Read the entries of a battle: texts, presets, and lists in files."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ..arguments import check_value, explained
from ..errors import UserValueError
from ..messages import brief
from .changes import check_changes
from .entries import Entry, read_entry
from .entry_checks import check_name, check_weight_files
from .presets import EQUAL_COST, PRESETS

#: where presets that are computed are listed: their texts, then entries
Lists = Mapping[str, Iterable[str]]


def read_entries(
    texts: Iterable[str], computed: Lists | None = None
) -> list[Entry]:
    """Read the entries of ``--entries``.

    Args:
        texts: texts of entries, names of presets, and YAML files with lists
            of both. An item of a file may also be a mapping with ``entry``
            (the text) and optionally the ``EntryOptions`` and ``cfg``
            (overrides of the config).
        computed: the entries behind each of ``computed_presets``.

    Raises:
        ValueError: a text or a file is wrong, or two entries have one name;
            says which.
    """
    entries = [
        entry for text in texts for entry in _expanded(text, computed or {})
    ]
    if not entries:
        raise UserValueError('--entries: there is no entry in it; name one')
    known: dict[str, Entry] = {}
    for entry in entries:
        check_name(entry)
        check_weight_files(entry)
        if other := known.get(entry.folder.lower()):
            raise UserValueError(
                f'--entries: {other.name!r} and {entry.name!r} have one name, '
                f'so their runs would be mixed up; leave one of them out, or '
                f'give it another name with the option name=...'
            )
        known[entry.folder.lower()] = entry
    return entries


def computed_presets(texts: Iterable[str]) -> list[str]:
    """List the presets ``equal-cost:NAME`` in texts and in YAML files.

    Raises:
        ValueError: a file is missing, or holds no list.
    """
    items = (item for text in texts for item in _items(text))
    found = (x for x in items if isinstance(x, str))
    return [*dict.fromkeys(x for x in found if x.startswith(EQUAL_COST))]


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which yaml takes the last."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys = [key.value for key, _ in node.value]
        for key, _ in reversed(node.value):
            if keys.count(key.value) > 1:
                raise UserValueError(
                    f'--entries {key.start_mark.name}, line '
                    f'{key.start_mark.line + 1}: {brief(key.value)} is given '
                    f'twice; leave one of them out'
                )
        return node


def _items(text: str) -> list[Any]:
    """Give what a text stands for: itself, or the items of a YAML file."""
    if not text.endswith(('.yaml', '.yml')):
        return [text]
    file = Path(text)
    if not file.is_file():
        raise UserValueError(f'--entries: no file {file}')
    with explained(f'--entries {file} is no YAML file'), file.open() as stream:
        content = yaml.load(stream, _Loader)
    if isinstance(content, Mapping) and set(content) == {'entries'}:
        content = content['entries']
    if not isinstance(content, list):
        raise UserValueError(
            f'--entries {file} holds {brief(content)}, expected a list of '
            f'entries, such as "- 2x resnet50"'
        )
    return content


def _expanded(text: str, computed: Lists) -> Iterator[Entry]:
    items = _items(text)
    if items == [text]:
        yield from _from_text(text, computed)
        return
    for number, item in enumerate(items, start=1):
        try:
            if isinstance(item, str):
                yield from _from_text(item, computed)
            else:
                yield _from_mapping(item)
        except (TypeError, ValueError) as error:
            raise UserValueError(f'{text}, item {number}: {error}') from error


def _from_text(text: str, computed: Lists) -> Iterator[Entry]:
    yield from map(read_entry, computed.get(text) or PRESETS.get(text, [text]))


def _from_mapping(item: Any) -> Entry:
    if not isinstance(item, Mapping) or 'entry' not in item:
        raise UserValueError(
            f'it is {brief(item)}, expected a text, or entry: TEXT with '
            f'name: and cfg: beside it'
        )
    item = dict(item)
    text, changes = str(item.pop('entry')), item.pop('cfg', None) or {}
    check_value('cfg', dict[str, Any], changes)
    check_changes(changes)
    return replace(read_entry(text, item), changes=changes)
