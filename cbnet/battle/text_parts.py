"""Divide the text of an entry, but not inside brackets or quotes."""

import re

from ..errors import UserValueError

_CLOSED_BY = {'(': ')', '[': ']', '{': '}'}


def split(text: str, separator: str, title: str) -> list[str]:
    """Split a text where a separator stands outside brackets and quotes.

    Args:
        text: the text.
        separator: what stands between the parts.
        title: the option and the entry, for errors.

    Raises:
        ValueError: a bracket or a quote is not closed, which would swallow
            what follows it, or a bracket is closed that is not open.
    """
    parts, opened = [''], []
    for place, letter in enumerate(text):
        inside = opened[-1] if opened else ''
        if inside and inside in '\'"':
            if letter == inside:
                opened.pop()
        elif letter == '"' or (letter == "'" and not _in_a_word(text, place)):
            opened.append(letter)
        elif letter in _CLOSED_BY:
            opened.append(letter)
        elif letter in _CLOSED_BY.values():
            if _CLOSED_BY.get(inside) != letter:
                raise UserValueError(
                    f'{title}: {letter} closes no bracket that is open; open '
                    f'it before, or leave it out'
                )
            opened.pop()
        parts[-1] += letter
        if not opened and parts[-1].endswith(separator):
            parts[-1] = parts[-1].removesuffix(separator)
            parts.append('')
    if opened:
        raise UserValueError(
            f'{title}: {opened[-1]} is not closed, so it is not clear where '
            f'its text ends; close it, or leave it out'
        )
    return parts


def _in_a_word(text: str, place: int) -> bool:
    """Tell whether an apostrophe is a letter, as in ``name=Bob's twin``."""
    return bool(re.match(r'\w', text[place - 1 : place]))
