"""Read COCO annotation files, and their objects image by image."""

import codecs
import contextlib
import gc
import json
import os
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from ..errors import UserValueError
from ..messages import listed
from ..quiet import quiet_output
from .coco_masks import to_rle

#: the lists that an annotation file must have
LISTS = ('images', 'annotations', 'categories')
_MARKS = codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE
# the content of files inside read_once(); not set outside of it
_KEPT: ContextVar[dict[tuple, Any]] = ContextVar('kept')


@contextlib.contextmanager
def read_once() -> Iterator[None]:
    """Parse each file only once inside this block, unless it changes.

    Nobody may change the content inside the block. Nothing is kept after it,
    because COCO's training file takes more than 450 MB as Python objects.
    """
    token = _KEPT.set(_KEPT.get({}))  # shared with an outer block
    # Looking for cycles among the objects of such a file, of which it has
    # none, would take as long as everything else.
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
        _KEPT.reset(token)


def is_noted(content: Any, *what: Any) -> bool:
    """Tell whether something was noted about a content in ``read_once``."""
    return (id(content), *what) in _KEPT.get({})


def note(content: Any, *what: Any) -> None:
    """Note something about the content of a file, until ``read_once`` ends."""
    # The content is kept, so that nothing else gets its id.
    _KEPT.get({})[(id(content), *what)] = content


def read_coco(
    path: str | os.PathLike, annotated: bool = True
) -> dict[str, Any]:
    """Read an annotation file and check that its three lists are there.

    Args:
        path: the file.
        annotated: whether there must be annotations; COCO's test files have
            none, and get an empty list.

    Raises:
        ValueError: the file is missing, is not JSON, or is not a COCO
            annotation file.
    """
    content = read_json(Path(path), 'annotation')
    if not isinstance(content, dict):
        raise UserValueError(
            f'{path}: contains a {type(content).__name__}, expected a dict '
            f'with the lists {", ".join(LISTS)} (a list is a results file)'
        )
    if not annotated and 'annotations' not in content:
        content = content | dict(annotations=[])
    for name in LISTS:
        entries = content.get(name)
        if name == 'annotations' and entries is None:
            raise UserValueError(
                f'{path}: it has no annotations; expected a list of dicts as '
                f'in COCO annotation files (without them, as in test-dev, '
                f'there can be predictions but no figures: `cbnet infer '
                f'--ann {path}`, or `cbnet test` with format_only=True and an '
                f'outfile_prefix in test_evaluator)'
            )
        if not is_list_of_dicts(entries):
            found = 'nothing' if entries is None else type(entries).__name__
            raise UserValueError(
                f'{path}: {name} is {found}, expected a list of dicts as in '
                'COCO annotation files'
            )
    return content


def starts_with_mark(path: Path) -> bool:
    """Tell whether a file starts with a byte order mark, as on Windows."""
    with path.open('rb') as file:
        return file.read(3).startswith(_MARKS)


def is_coco(path: Path) -> bool:
    """Tell whether a file is a COCO annotation file."""
    try:
        read_coco(path)
    except ValueError:
        return False
    return True


def read_json(path: Path, kind: str) -> Any:
    """Read a JSON file of a kind: ``annotation`` or ``results``.

    Raises:
        ValueError: the file is missing or is not JSON.
    """
    if not path.is_file():
        found = 'is a folder' if path.is_dir() else 'is not there'
        raise UserValueError(
            f'{path}: the {kind} file {found}; expected a file in COCO '
            f'format{_beside(path)}'
        )
    status = path.stat()
    key = path.resolve(), status.st_mtime_ns, status.st_size
    kept = _KEPT.get({})
    try:
        if key not in kept:
            # From bytes, json reads UTF-8, UTF-16 and UTF-32, marked or not.
            kept[key] = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserValueError(
            f'{path}: not JSON ({error}); expected a COCO {kind} file; '
            'export or copy it again'
        ) from None
    return kept[key]


def _beside(path: Path) -> str:
    if not path.parent.is_dir():
        return f'; there is no folder {path.parent} either'
    files = sorted(file.name for file in path.parent.glob('*.json'))
    return f'; {path.parent} has {listed(files) or "no JSON file"}'


def is_list_of_dicts(value: Any) -> bool:
    """Tell whether a value has the form of COCO's lists."""
    return isinstance(value, list) and all(isinstance(v, dict) for v in value)


@dataclass
class Instance:
    """One object of one image, annotated or detected.

    Attributes:
        category_id: the id of its COCO category.
        box: xywh in pixels of the image; None if the entry has neither a box
            nor a mask.
        mask: bool of shape (H, W), or None.
        score: the confidence of a detection; None for an annotation.
    """

    category_id: int
    box: tuple[float, float, float, float] | None
    mask: np.ndarray | None
    score: float | None = None


class CocoAnnotations:
    """Images, categories and annotations of one COCO file.

    Args:
        path: the annotation file.
        content: the content of the file, if it has been read already.

    Attributes:
        path: the annotation file.
        images: the entries of the images by id.
        categories: the names of the categories by id.

    Raises:
        ValueError: the file is missing or is not a COCO annotation file.
    """

    def __init__(
        self, path: str | os.PathLike, content: dict[str, Any] | None = None
    ) -> None:
        self.path = Path(path)
        try:
            self._index = index(COCO, content or read_coco(path))
            self.images: dict[int, dict] = self._index.imgs
            self.categories: dict[int, str] = {
                key: entry['name'] for key, entry in self._index.cats.items()
            }
        except (KeyError, TypeError) as error:
            raise UserValueError(
                f'{path}: an entry of {", ".join(LISTS)} lacks its id or '
                f'name ({error!r}); list all mistakes with '
                f'python -m cbnet.datasets.coco_check {path}'
            ) from error

    def instances(self, image_id: int) -> list[Instance]:
        """Return the annotated objects of one image."""
        return [
            to_instance(entry, self.images[image_id])
            for entry in self._index.imgToAnns.get(image_id, [])
        ]


def index(kind: type, content: dict[str, Any]) -> COCO:
    """Let a COCO class index the content of a file, without its output."""
    api = kind()
    api.dataset = content
    reindex(api)
    return api


def reindex(api: COCO) -> None:
    """Let a COCO object index its content again, without its output."""
    with quiet_output():
        api.createIndex()


def to_instance(entry: dict[str, Any], image: dict[str, Any]) -> Instance:
    """Convert an annotation or a detection; a wrong mask is a ValueError."""
    try:
        rle = to_rle(entry, image)
    except ValueError as error:
        raise UserValueError(f'image {image["id"]}: {error}') from None
    box = entry.get('bbox')  # some results have an empty list
    if not box and rle is not None:
        box = coco_mask.toBbox(rle).tolist()
    return Instance(
        category_id=entry['category_id'],
        box=tuple(map(float, box)) if box else None,
        mask=None if rle is None else coco_mask.decode(rle).astype(bool),
        score=entry.get('score'),
    )
