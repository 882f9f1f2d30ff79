"""Read the config text inside a checkpoint as data; nothing is executed.

mmengine writes the config of a run into its checkpoints, as assignments of
literals, and executes this text like a config file where it needs it again.
Here the text is parsed, and its values are read.
"""

import ast
import functools
import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

from mmengine import Config
from mmengine.logging import print_log

from ..errors import UnsafeCheckpointError, UserValueError
from ..messages import shortened
from .config_names import check_names

# config text -> name of the checkpoint that was read last and holds it
_sources: dict[str, str] = {}


def remember_texts(checkpoint: Any, source: str) -> None:
    """Remember the name of the file that holds these config texts."""
    _sources.clear()
    if not isinstance(checkpoint, Mapping):
        return
    meta = checkpoint.get('meta')
    hub = checkpoint.get('message_hub')
    info = hub.get('runtime_info') if isinstance(hub, Mapping) else None
    for place in (meta, info):
        if isinstance(place, Mapping):
            for key in ('cfg', 'config'):
                if isinstance(place.get(key), str):
                    _sources[place[key]] = source


def read_literals(text: str) -> dict[str, Any]:
    """Read assignments of literals.

    Args:
        text: the config, lines of ``name = value``; values are literals,
            or ``dict()`` calls, as in the text that mmengine writes.

    Raises:
        ValueError: names the line that holds anything else.
    """
    try:
        values = {}
        for line in ast.parse(text).body:
            if not (
                isinstance(line, ast.Assign)
                and len(line.targets) == 1
                and isinstance(line.targets[0], ast.Name)
            ):
                raise _not_a_literal(line)
            values[line.targets[0].id] = _value(line.value)
    except SyntaxError as error:
        raise UserValueError(f'line {error.lineno}: not Python') from None
    except (RecursionError, MemoryError):
        raise UserValueError('it is nested too deeply') from None
    return values


def _value(node: ast.AST) -> Any:
    if isinstance(node, ast.Call):
        if (
            not (isinstance(node.func, ast.Name) and node.func.id == 'dict')
            or not all(isinstance(given, ast.Dict) for given in node.args)
            or len(node.args) > 1
            or any(word.arg is None for word in node.keywords)
        ):
            raise _not_a_literal(node)
        # mmengine writes dict({...}) for keys that are not identifiers.
        given = _value(node.args[0]) if node.args else {}
        words = {word.arg: _value(word.value) for word in node.keywords}
        return {**given, **words}
    if isinstance(node, ast.Dict):
        if None in node.keys:
            raise _not_a_literal(node)
        keys = [ast.literal_eval(key) for key in node.keys]
        return dict(zip(keys, map(_value, node.values), strict=True))
    if isinstance(node, ast.List | ast.Tuple):
        values = [_value(item) for item in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        raise _not_a_literal(node) from None


def _not_a_literal(node: ast.AST) -> UserValueError:
    found = shortened(ast.unparse(node))
    return UserValueError(f'line {node.lineno}: {found}')


def literal_fromstring(fromstring: Callable[..., Config]) -> Callable:
    """Wrap ``Config.fromstring`` to read Python text, not execute it.

    This holds for all text, because mmengine calls the function only for the
    text inside checkpoints.
    """

    @functools.wraps(fromstring)
    def read(cfg_str: str, file_format: str) -> Config:
        if file_format != '.py':
            return fromstring(cfg_str, file_format)
        try:
            values = read_literals(cfg_str)
            check_names(values)
        except ValueError as error:
            source = _sources.get(cfg_str)
            raise UnsafeCheckpointError(
                f'{source or "config text"}: the config inside'
                f'{" the checkpoint" if source else ""} is read as data, '
                f'never executed, and this is refused: {error}. Give a '
                f'config file of your own instead: '
                f"DetInferencer('config.py', 'checkpoint.pth')"
            ) from None
        _report_imports(values)
        return Config(values)

    return read


def _report_imports(values: dict[str, Any]) -> None:
    custom = values.get('custom_imports')
    names = custom.get('imports', []) if isinstance(custom, dict) else []
    names = [names] if isinstance(names, str) else list(names)
    missing = [name for name in names if name not in sys.modules]
    if missing:
        print_log(
            f'the config inside the checkpoint asks to import {missing}, '
            'which is not done for it; import them yourself if you need and '
            'trust them',
            logger='current',
            level=logging.WARNING,
        )
