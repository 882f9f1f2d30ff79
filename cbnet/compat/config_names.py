"""Check that the names in a checkpoint's config cannot reach code.

Literals are not harmless by themselves: mmengine's registries import any
dotted path that they do not know (``type='os.system'``), mmdet and mmcv
evaluate some strings, some datasets unpickle a file when they are built, and
some models read files or addresses, in timm's case with readers of their own.
"""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import mmdet.registry
import mmengine.registry
from mmengine.registry import Registry

from ..errors import UserValueError
from ..messages import brief

# Keys whose strings are looked up in a registry.  mmcv evaluates the type of
# an NMS, so that must be a plain name for this reason as well.
_LOOKED_UP = ('type', 'base', 'constructor', 'ema_type', 'runner_type')
_SCOPES = ('_scope_', 'default_scope')
# Keys whose strings are evaluated or opened as a config file.
_EXECUTED = ('_base_', 'warp_mode', 'teacher_config')
# Keys that make timm or a detector read a file while a model is built.
_READ = re.compile(r'checkpoint_path|cache_dir|pretrained_\w+|teacher_ckpt')
# timm's models of foreign addresses and folders.
_FOREIGN = re.compile(r'(hf[-_]hub|local-dir):.*', re.DOTALL | re.IGNORECASE)
_MOTION = re.compile(r'cv2\.MOTION_[A-Z]+')
# Datasets whose own __init__ opens no file that could be a pickle.
_LAZY = (
    'BaseDetDataset',
    'CocoPanopticDataset',
    'OpenImagesDataset',
    'V3DetDataset',
    'VOCDataset',
    'XMLDataset',
)
_NAME = re.compile(r'(?:([A-Za-z]\w*)\.)?([A-Za-z]\w*(?:/\w+)?)')


def check_names(values: dict[str, Any]) -> None:
    """Check a config before anything is built from it.

    Raises:
        ValueError: names a key whose value is not registered but could be
            imported, or would be evaluated; a key that makes a model read
            files; or a test dataset that reads files when it is built.
    """
    # Imported late: `import cbnet` needs no datasets.
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=False)
    scopes, names = _registered()
    for key, value in _items(values):
        if (isinstance(key, str) and _READ.fullmatch(key)) and value:
            raise UserValueError(f'{key}={brief(value)} would read a file')
        if not isinstance(value, str):
            continue
        if key == 'model_name' and _FOREIGN.fullmatch(value):
            raise UserValueError(f'{key}={brief(value)} would read a file')
        if key in _EXECUTED and not _MOTION.fullmatch(value):
            raise UserValueError(f'{key}={value!r} would be executed')
        if key in _SCOPES and value not in scopes:
            raise UserValueError(f'{key}={value!r} would import that package')
        if key in _LOOKED_UP and not _is_harmless(value, scopes, names):
            raise UserValueError(f'{key}={value!r} would import that name')
    loader = values.get('test_dataloader')
    dataset = loader.get('dataset') if isinstance(loader, dict) else None
    if isinstance(dataset, dict):
        _check_dataset(dataset.get('type'))


def _items(values: Any, key: Any = None) -> Iterator[tuple[Any, Any]]:
    """Yield every value inside, with the nearest key."""
    yield key, values
    if isinstance(values, dict):
        for name, value in values.items():
            yield from _items(value, name)
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _items(value, key)


def _registered() -> tuple[set[str], set[str]]:
    """Collect the scopes of all registries, and the names in them."""
    scopes, names = set(), set()
    waiting = [
        registry
        for registry in vars(mmengine.registry).values()
        if isinstance(registry, Registry)
    ]
    while waiting:
        registry = waiting.pop()
        scopes.add(registry.scope)
        names.update(registry.module_dict)
        waiting += registry.children.values()
    return scopes, names


def _is_harmless(value: str, scopes: set[str], names: set[str]) -> bool:
    """Say whether a lookup finds something registered, or nothing."""
    match = _NAME.fullmatch(value)
    if not match:
        return False
    scope, name = match.groups()
    if scope in scopes:
        return name in names
    # mmengine imports a name that is in another registry only.
    try:
        return find_spec(scope or name) is None
    except ValueError:  # a module without a spec: it is there
        return False


def _check_dataset(kind: Any) -> None:
    """Refuse datasets that open a file even if they are told to be lazy.

    These are wrappers of other datasets, and datasets that open a file while
    they are built; a pickle among these files would be executed.
    """
    from mmdet import datasets
    from mmengine.dataset import BaseDataset

    lazy = {object, BaseDataset, *(getattr(datasets, n) for n in _LAZY)}
    found = (
        mmdet.registry.DATASETS.get(kind) if isinstance(kind, str) else None
    )
    if found is None or not all(
        made in lazy for made in found.__mro__ if '__init__' in vars(made)
    ):
        raise UserValueError(
            f'test_dataloader.dataset.type={kind!r} may open files when it is '
            f'built; only single datasets such as CocoDataset are allowed'
        )
