"""The parts of messages to users: suggestions, short lists, short values."""

import difflib
import os
import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from textwrap import shorten
from typing import Any


def did_you_mean(found: Any, names: Iterable[str], cutoff: float = 0.5) -> str:
    """Suggest similar names: ``; did you mean 'a' or 'b'?``.

    Args:
        found: what was given instead of a name.
        names: the names that exist.
        cutoff: the least similarity, from 0 to 1.

    Returns:
        The suggestion, or an empty string if no name is similar.
    """
    lower = {name.lower(): name for name in names}
    text = str(found)[:100].lower()  # a vast text would take minutes
    near = difflib.get_close_matches(text, lower, 2, cutoff)
    if not near:
        return ''
    return f'; did you mean {" or ".join(repr(lower[n]) for n in near)}?'


def command(*words: Any) -> str:
    """Spell a command so that it can be copied into a shell."""
    return shlex.join(map(str, words))


def listed(items: Iterable[Any], most: int = 5) -> str:
    """Join items with commas; count those beyond ``most``.

    ``listed('abcdefg')`` is ``'a, b, c, d, e, and 2 more'``.
    """
    items = list(items)
    rest = len(items) - most
    shown = ', '.join(map(_word, items[:most]))
    return f'{shown}, and {rest} more' if rest > 0 else shown


def _word(item: Any) -> str:
    if isinstance(item, os.PathLike):
        return str(item)  # whole, so that it can be copied
    # Names come from files, too, and may be anything.
    word = ' '.join(str(item)[:1000].split())
    return shortened(word, 100) or "''"


def one_line(text: Any, most: int = 2000) -> str:
    """Put the text of an error or another value on one short line."""
    if isinstance(text, KeyError) and text.args:
        text = text.args[0]  # str() of a KeyError adds quotes
    beginning = str(text)[: 10 * most]  # a vast text would take minutes
    line = shorten(beginning, most, placeholder=' ...')
    return line or type(text).__name__


def brief(value: Any, most: int = 60) -> str:
    """Show a value's ``repr`` in one line of at most ``most`` characters."""
    return shortened(' '.join(repr(value).split()), most)


def shortened(text: str, most: int = 60) -> str:
    """Cut a text to at most ``most`` characters, and show that it was cut."""
    return text if len(text) <= most else f'{text[: most - 4]} ...'


def difference(
    known: Any, now: Any, free: Collection[str] = (), place: str = ''
) -> str:
    """Say where two nested values differ first: ``a.b.0 is 1, not 2``.

    Tuples and lists are the same here, and so are None and what is missing:
    a value that was written to JSON has neither.

    Args:
        known: the value from before.
        now: the value of now.
        free: the keys that may differ.
        place: where they come from, in a greater value.

    Returns:
        The difference, or an empty string if there is none.
    """
    if isinstance(known, Mapping) and isinstance(now, Mapping):
        keys = [k for k in dict.fromkeys([*known, *now]) if k not in free]
        pairs = [(key, known.get(key), now.get(key)) for key in keys]
    elif (
        isinstance(known, list | tuple)
        and isinstance(now, list | tuple)
        and len(known) == len(now)
    ):
        pairs = [*zip(range(len(now)), known, now, strict=True)]
    else:
        return (
            ''
            if known == now
            else f'{place} is {brief(known)}, not {brief(now)}'
        )
    found = (
        difference(a, b, free, f'{place}.{key}' if place else str(key))
        for key, a, b in pairs
    )
    return next(filter(None, found), '')


def number_of(number: int, things: str) -> str:
    """Count things: ``number_of(1, 'images in all')`` is ``'1 image in all'``.

    Args:
        number: how many there are.
        things: a plural that ends in s, and what follows it.
    """
    noun, space, rest = things.partition(' ')
    return f'{number} {noun[:-1] if number == 1 else noun}{space}{rest}'


def counted(names: Iterable[str], most: int = 4) -> str:
    """Count names and show some; names that differ in numbers are grouped.

    ``counted(['blocks.0.w', 'blocks.1.w', 'head'])`` is
    ``'3 (blocks.*.w x2, head)'``.
    """
    names = list(names)
    groups: dict[str, list[str]] = {}
    for name in names:
        key = re.sub(r'(?<![^.])\d+(?![^.])|(?<=layer)\d+', '*', name)
        groups.setdefault(key, []).append(name)
    shown = [
        group[0] if len(group) == 1 else f'{key} x{len(group)}'
        for key, group in groups.items()
    ]
    return f'{len(names)} ({listed(shown, most)})' if shown else '0'
