"""Lay out the text of configs without yapf, whose search takes seconds.

mmengine formats a config each time it logs, dumps or saves it, and in every
checkpoint. yapf takes one to two seconds for that of a detector, this takes
some hundredths.  mmengine's option that leaves yapf out
(``format_python_code=False``) does not pass ``Config.fromfile``.
"""

import ast
from collections.abc import Callable, Iterator
from typing import Any

from mmengine.config import config as mmengine_config

_NAME = 'FormatCode'
_WIDTH, _INDENT = 79, ' ' * 4


def lay_out_quickly() -> None:
    """Replace the formatter that mmengine calls, once."""
    slowly = getattr(mmengine_config, _NAME)
    if hasattr(slowly, 'cbnet'):
        return

    def format_code(text: str, **options: Any) -> tuple[str, bool]:
        return quick_layout(text, slowly, **options)

    format_code.cbnet = True
    setattr(mmengine_config, _NAME, format_code)


def quick_layout(
    text: str, slowly: Callable[..., tuple[str, bool]], **options: Any
) -> tuple[str, bool]:
    """Lay out assignments of literals and calls, such as those of a config.

    Args:
        text: Python code.
        slowly: yapf's ``FormatCode``, for any other code.
        options: its options.

    Returns:
        The code, and whether it differs from ``text``.

    Raises:
        SyntaxError: the text is not Python.
    """
    body = ast.parse(text).body
    if not all(map(_is_assignment, body)):
        return slowly(text, **options)
    lines = []
    for statement in body:
        name = f'{statement.targets[0].id} = '
        lines += _lines(name, statement.value, '', '')
    done = '\n'.join([*lines, '']) if lines else ''
    return done, done != text


def _is_assignment(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Assign)
        and len(node.targets) == 1
        and isinstance(node.targets[0], ast.Name)
    )


def _lines(
    before: str, node: ast.expr, after: str, indent: str
) -> Iterator[str]:
    """Yield a value in one line if it fits, or else an item in each."""
    line = f'{indent}{before}{ast.unparse(node)}{after}'
    opening, items, closing = _parts(node)
    if len(line) <= _WIDTH or not items:
        yield line
        return
    yield f'{indent}{before}{opening}'
    for name, item in items:
        yield from _lines(name, item, ',', indent + _INDENT)
    yield f'{indent}{closing}{after}'


def _parts(node: ast.expr) -> tuple[str, list[tuple[str, ast.expr]], str]:
    """Split a value into what opens it, its named items, and what closes."""
    if isinstance(node, ast.Call):
        items = [('', one) for one in node.args]
        items += [
            (f'{one.arg}=' if one.arg else '**', one.value)
            for one in node.keywords
        ]
        return f'{ast.unparse(node.func)}(', items, ')'
    if isinstance(node, ast.Dict) and None not in node.keys:
        names = [f'{ast.unparse(key)}: ' for key in node.keys]
        return '{', [*zip(names, node.values, strict=True)], '}'
    if isinstance(node, ast.List):
        return '[', [('', one) for one in node.elts], ']'
    if isinstance(node, ast.Tuple):
        return '(', [('', one) for one in node.elts], ')'
    return '', [], ''
