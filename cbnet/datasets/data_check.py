"""Check the annotation files of a config before anything runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.config import Config

from ..arguments import explained
from ..errors import UserValueError
from ..messages import listed, number_of
from .annotations import starts_with_mark
from .areas import find_nothings, leave_out_nothings
from .bit_depths import describe_dark
from .coco_check import check_coco
from .evaluated_files import metrics_of, require_same_data
from .kept import Kept, count_kept
from .semantic_maps import check_maps, map_folder
from .walking import innermost_datasets, loads, walk_dicts

# metrics that write the results and compute no figures
_WRITERS = ('DumpResults', 'DumpDetResults')
#: Keys below which num_classes means something else: an RPN separates objects
#: from background, a semantic head learns from maps of stuff and things.
OTHER_CLASSES = ('rpn_head', 'semantic_head')


def check_data(cfg: Config, *splits: str) -> list[str]:
    """Check the COCO-format files that some dataloaders of a config read.

    Args:
        cfg: the config.
        *splits: the splits to check: ``train``, ``val`` and ``test``.

    Returns:
        Lines that say what is trained on, and what is left out.

    Raises:
        ValueError: names the file and what is wrong with it.
    """
    lines = []
    for split, dataset, content in checked_datasets(cfg, *splits):
        written = _only_formats(cfg, split)
        if written:  # objects are of no interest
            content = content | dict(annotations=[])
        kept, remarks = count_used(dataset, content)
        lines += remarks
        if not dataset.test_mode:
            _require_classes(cfg, dataset)
            kept.require_objects('train')
            lines += kept.lines()
        elif not written:
            kept.require_objects('evaluate' if split == 'val' else 'test')
    return lines


def _require_classes(cfg: Config, dataset: CocoDataset) -> None:
    """Refuse a model of fewer classes than its training data have.

    The labels beyond would be learned as background, or stop the training.
    """
    classes = dataset.metainfo['classes']
    for part in walk_dicts(cfg.get('model'), skip=OTHER_CLASSES):
        number = part.get('num_classes')
        if type(number) is int and number < len(classes):
            raise UserValueError(
                f'model: num_classes={number} of {part.get("type")}, but '
                f'train_dataloader has {len(classes)} classes '
                f'({listed(classes, 8)}); set it to their number, or train '
                f'with --data-root, which does so'
            )


def count_used(
    dataset: CocoDataset, content: dict[str, Any]
) -> tuple[Kept, list[str]]:
    """Count what of a checked file is used, by training or by evaluation.

    Args:
        dataset: the data set, which has not read the file.
        content: the content of the file.

    Returns:
        What is kept; and lines about what is strange, but no mistake:
        objects that cover no pixel, and images that are almost black.
    """
    name, folder = Path(dataset.ann_file).name, dataset.data_prefix.get('img')
    lines, kept = [], content
    if dataset.test_mode:
        # The evaluation does not count them either.
        kept, lines = leave_out_nothings(content, training=False)
    elif empty := len(find_nothings(content, training=True)):
        are = 'is' if empty == 1 else 'are'
        lines = [
            f'{number_of(empty, "objects")} whose mask covers no pixel {are} '
            f'learned with an empty mask; --data-root leaves such objects out'
        ]
    lines = [f'{name}: {line}' for line in lines]
    images = [image['file_name'] for image in content['images']]
    if dark := describe_dark(images, folder or ''):
        lines.append(dark)
    return count_kept(dataset, kept), lines


def checked_datasets(
    cfg: Config, *splits: str
) -> Iterator[tuple[str, CocoDataset, dict[str, Any]]]:
    """Check the COCO-format files of a config, one after the other.

    If a pipeline loads semantic maps, they must exist as well. Data sets of
    other formats, and files that are not on a disk, are left to mmdet.

    Args:
        cfg: the config.
        *splits: the splits to check: ``train``, ``val`` and ``test``.

    Yields:
        The split, its data set, which has not read its file, and the content
        of the file. What is read in the same way is yielded only once.

    Raises:
        ValueError: names the file and what is wrong with it.
    """
    checked = set()
    for split in splits:
        metrics = metrics_of(cfg.get(f'{split}_evaluator'))
        for config in innermost_datasets(cfg.get(f'{split}_dataloader')):
            with explained(f'{split}_dataloader.dataset cannot be built'):
                dataset = _build_unread(config)
            if dataset is None:
                continue
            pipeline = config.get('pipeline')
            evaluator = dataset.test_mode and metrics
            with_masks = loads(pipeline, 'with_mask') or any(
                'segm' in (metric.get('metric') or ())
                for metric in walk_dicts(evaluator)
            )
            arguments = (
                dataset.ann_file,
                dataset.data_prefix.get('img') or '.',
                tuple(dataset.metainfo['classes']),
                with_masks,
                not _only_formats(cfg, split),
            )
            maps = None
            if loads(pipeline, 'with_seg'):
                maps = map_folder(cfg, dataset)
            use = arguments, maps, dataset.test_mode
            if use in checked:
                continue
            content = check_coco(*arguments)
            _refuse_mark(Path(dataset.ann_file))
            if dataset.test_mode:
                require_same_data(split, metrics, dataset.ann_file, content)
            if maps:
                check_maps(maps, cfg, dataset, content)
            yield split, dataset, content
            checked.add(use)


def _refuse_mark(file: Path) -> None:
    if starts_with_mark(file):
        raise UserValueError(
            f'{file}: begins with a byte order mark, which mmdet cannot '
            f'read; save it as UTF-8 without one, or train with --data-root, '
            f'which writes a copy'
        )


def _only_formats(cfg: Config, split: str) -> bool:
    """Tell whether the results of a split are written and not evaluated."""
    metrics = metrics_of(cfg.get(f'{split}_evaluator'))
    return bool(metrics) and all(
        isinstance(metric, dict)
        and (metric.get('format_only') or metric.get('type') in _WRITERS)
        for metric in metrics
    )


def _build_unread(config: dict[str, Any] | None) -> CocoDataset | None:
    """Build a data set without reading its file, if that can be checked."""
    config = config or {}
    kind = config.get('type')
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    # Subclasses may read other keys, as LVIS does.
    if kind is not CocoDataset or config.get('backend_args'):
        return None
    dataset = DATASETS.build({**config, 'lazy_init': True, 'pipeline': []})
    file, classes = dataset.ann_file, dataset.metainfo['classes']
    if isinstance(classes, str):
        # mmengine keeps the path of a file of names that it does not find.
        raise UserValueError(
            f'metainfo.classes={classes!r} is neither a list of names nor a '
            f'file of names that is there; a single class is ({classes!r},)'
        )
    return None if not file or '://' in file else dataset
