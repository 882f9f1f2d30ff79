"""Read overrides, and refuse those that would change nothing.

A config file uses its own variables while it is read: ``data_root`` and
``max_epochs`` are parts of other settings by then, and nobody reads them.
"""

import inspect
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from ..errors import UserValueError
from ..messages import brief, command, listed

# What mmengine, mmdet and this package read, beside the runner's arguments.
_READ = {
    *inspect.signature(Runner.__init__).parameters,
    *('auto_scale_lr', 'activation_checkpointing', 'compile', 'sync_bn'),
    *('custom_imports', 'efficient_conv_bn_eval', 'find_unused_parameters'),
    *('log_name', 'model_wrapper_cfg', 'resource_limit', 'runner_type'),
    *('strategy', 'tta_model', 'tta_pipeline'),
}

# Where a text holds one of these, mmengine changes it or makes a list.
_TAKEN_APART = set(' ,[](){}')


def read_overrides(texts: Sequence[str]) -> dict[str, Any]:
    """Read KEY=VALUE pairs as mmengine does, and texts with spaces.

    mmengine would remove the spaces of a path, and make a list of one with
    a comma. A text with spaces stays as it is, and so does one with commas
    if quotes are around it, as ``text_override`` writes it.

    Raises:
        UserValueError: a text is none, or its brackets are not closed.
    """
    found, action = Namespace(read={}), DictAction([], 'read')
    try:
        for text in texts:
            key, equals, value = text.partition('=')
            plain = _plain_text(value)
            if equals and plain is not None:
                found.read = {**found.read, key: plain}
            else:
                action(None, found, [text])
    except (AssertionError, ValueError):
        raise UserValueError(
            '--cfg-options takes KEY=VALUE pairs; brackets and parentheses in '
            'a value must be closed'
        ) from None
    return found.read


def text_override(key: str, value: Any) -> str:
    """Spell an override with a text that may hold spaces and commas."""
    text = str(value)
    return f'{key}="{text}"' if _TAKEN_APART & set(text) else f'{key}={text}'


def train_from(config: Any, checkpoint: Any) -> str:
    """Spell the command that trains from the weights of a checkpoint."""
    start = text_override('load_from', checkpoint)
    return command('cbnet', 'train', config, '--cfg-options', start)


def _plain_text(value: str) -> str | None:
    """Give a text that mmengine would take apart; None for other values."""
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in '\'"'
    inner = value[1:-1] if quoted else value.strip()
    if not inner or (inner[0] in '[(' and inner[-1] in '])'):
        return None
    split = _TAKEN_APART if quoted else {' '}
    if not split & set(inner) or (',' in inner and not quoted):
        return None
    return inner


def refuse_variables(cfg: Config, keys: Iterable[str]) -> None:
    """Refuse to override variables of the config file.

    Args:
        cfg: the config, before anything is overridden.
        keys: the dotted keys to override.

    Raises:
        ValueError: a key is a variable; the message names the settings that
            have its value.
    """
    for key in keys:
        name = key.partition('.')[0]
        if name in _READ or name not in cfg:
            continue
        value = cfg[name]
        rest = {k: v for k, v in cfg.items() if k in _READ}
        places = [*_places(rest, value)]
        if places:
            raise UserValueError(
                f'--cfg-options {key}: {name} ({brief(value)}) is a variable '
                f'of the config file, which has been used already; override '
                f'what it is used for: {listed(places, 8)}'
                + ', or give --data-root'
                * (name == 'data_root')
            )


def _places(node: Any, value: Any, place: str = '') -> Iterator[str]:
    """Yield the dotted keys below a node that have a value."""
    if place and _has(node, value):
        yield place
        return
    if isinstance(node, dict):
        below = node.items()
    elif isinstance(node, list | tuple):
        below = enumerate(node)
    else:
        return
    for key, one in below:
        yield from _places(one, value, f'{place}.{key}' if place else key)


def _has(node: Any, value: Any) -> bool:
    if value is None or isinstance(value, bool) or value in ('', [], {}):
        return False  # it would be found by chance
    if isinstance(node, str) and isinstance(value, str):
        return node.startswith(value)
    if isinstance(node, dict) and isinstance(value, dict):  # **value
        return all(k in node and node[k] == v for k, v in value.items())
    if isinstance(node, list) and isinstance(value, list):  # *value
        starts = range(len(node) - len(value) + 1)
        return any(node[n : n + len(value)] == value for n in starts)
    return type(node) is type(value) and node == value
