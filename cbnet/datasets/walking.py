"""Walk data set configs through their wrappers and pipelines."""

from collections.abc import Collection, Iterator
from typing import Any


def walk_datasets(dataset: Any) -> Iterator[Any]:
    """Yield a data set and those that it wraps, the outermost first.

    Args:
        dataset: the config of a data set, or one that is built. Wrappers
            such as ``RepeatDataset`` and ``ConcatDataset`` contain others as
            ``dataset`` or ``datasets``.
    """
    yield dataset
    for inner in _wrapped(dataset):
        yield from walk_datasets(inner)


def innermost_datasets(dataset: Any) -> Iterator[Any]:
    """Yield only the data sets that wrap no other, see ``walk_datasets``."""
    return (one for one in walk_datasets(dataset) if not _wrapped(one))


def _wrapped(dataset: Any) -> list[Any]:
    inner = [_get(dataset, 'dataset'), *(_get(dataset, 'datasets') or ())]
    return [one for one in inner if one is not None]


def _get(dataset: Any, key: str) -> Any:
    if isinstance(dataset, dict):
        return dataset.get(key)
    return getattr(dataset, key, None)


def walk_dicts(node: Any, skip: Collection[str] = ()) -> Iterator[dict]:
    """Yield every dict at or below a node, except below some keys."""
    if isinstance(node, dict):
        yield node
    elif not isinstance(node, list | tuple):
        return
    below = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in below:
        if key not in skip:
            yield from walk_dicts(value, skip)


def loads(node: Any, what: str) -> bool:
    """Tell whether any dict at or below a node sets, say, ``with_mask``."""
    return any(part.get(what) for part in walk_dicts(node))
