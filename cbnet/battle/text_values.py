"""Read the options and the arguments in the text of an entry."""

import ast
from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import UserValueError
from ..messages import brief, shortened

# What Python raises for a text that is no value; the last two, for one with
# thousands of brackets or signs inside each other.
_NO_VALUE = SyntaxError, ValueError, TypeError, MemoryError, RecursionError


def read_arguments(text: str, title: str) -> dict[str, Any]:
    """Read ``(depth=50, style='caffe')``.

    Args:
        text: the text, with its brackets.
        title: the option, the entry and the member, for errors.

    Raises:
        ValueError: it is something else, or an argument is given twice.
    """
    source = f'f{text}'
    try:
        call = ast.parse(source, mode='eval').body
        # Without these, a second pair of brackets would replace the first
        # one, and what follows a # would be lost.
        whole = call.end_col_offset == len(source.encode())
        if not whole or not isinstance(call.func, ast.Name) or call.args:
            raise ValueError
        pairs = [(k.arg, ast.literal_eval(k.value)) for k in call.keywords]
        if None in dict(pairs):  # a mapping with two stars
            raise ValueError
    except (*_NO_VALUE, AttributeError):
        raise UserValueError(
            f'{title}: {shortened(text)} are no arguments; expected one pair '
            f'of brackets with key=value, where values are numbers, texts or '
            f"lists, such as (depth=50, style='caffe')"
        ) from None
    return given_once(pairs, title)


def read_options(
    parts: Iterable[str], title: str
) -> Iterator[tuple[str, Any]]:
    """Read ``key=value`` where values are texts, numbers, lists or None.

    Args:
        parts: the texts.
        title: the option and the entry, for errors.

    Raises:
        ValueError: one has no equals sign.
    """
    for part in parts:
        key, equals, value = map(str.strip, part.partition('='))
        if not equals:
            raise UserValueError(
                f'{title}: {key!r} is no key=value, such as style=slc'
            )
        yield key, unquoted(value) if key == 'name' else read_value(value)


def given_once(pairs: Iterable[tuple[str, Any]], title: str) -> dict[str, Any]:
    """Collect options or arguments, and refuse a second value of one.

    Raises:
        ValueError: names the one that is given twice, and both values.
    """
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise UserValueError(
                f'{title} gives {key} twice, as {brief(found[key])} and as '
                f'{brief(value)}; leave one of them out'
            )
        found[key] = value
    return found


def read_value(text: str) -> Any:
    """Read a number, a list or None; anything else stays a text."""
    if text.lower() == 'none':
        return None
    try:
        return ast.literal_eval(text)
    except _NO_VALUE:
        return text


def unquoted(text: str) -> str:
    """Leave out the quotes around a text, which protect commas in it."""
    quote = text[:1]
    inside = text[1:-1]
    around = quote in ('"', "'") and text == f'{quote}{inside}{quote}'
    return inside if around and inside and quote not in inside else text
