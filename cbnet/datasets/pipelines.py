"""Let every image of a data set through the pipeline that training uses."""

from collections.abc import Iterable, Iterator
from typing import Any

from mmengine.dataset import BaseDataset
from rich.console import Console
from rich.progress import track

from ..errors import UserError
from ..messages import one_line
from .checked_pipelines import NOT_PASSING, naming
from .walking import innermost_datasets, walk_datasets


def feed_all(dataset: Any) -> Iterator[tuple[str, str]]:
    """Let every image through the pipelines of a data set and its wrappers.

    Args:
        dataset: the data set, built.

    Yields:
        For an image that does not pass, its path, and a sentence that says
        why; or an empty string, if the pipeline refused it without an error,
        so that training takes another image.
    """
    for one in walk_datasets(dataset):
        if not hasattr(one, 'pipeline'):
            continue  # a wrapper such as RepeatDataset
        # Indexing a data set for training hides the images that are refused.
        plain = isinstance(one, BaseDataset)
        take = one.prepare_data if plain else one.__getitem__
        for index in tracked(len(one), 'train'):
            path = image_path(one, index)
            try:
                with naming(path, NOT_PASSING):
                    refused = take(index) is None
            except UserError as error:
                yield path, one_line(error)
            else:
                if refused:
                    yield path, ''


def tracked(number: int, what: str) -> Iterable[int]:
    """Count to a number, and show how far it is."""
    return track(range(number), what, console=Console(stderr=True))


def image_path(dataset: Any, index: int) -> str:
    """Name an image of a data set or a wrapper, by its number at worst."""
    describe = getattr(dataset, 'get_data_info', None)
    info = describe(index) if describe else {}
    return str(info.get('img_path') or f'number {index}')


def with_objects(dataset: Any) -> set[str]:
    """Give the paths of the images that have objects."""
    return {
        image_path(one, index)
        for one in innermost_datasets(dataset)
        for index in range(len(one))
        if one.get_data_info(index).get('instances')
    }
