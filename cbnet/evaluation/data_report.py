"""Tell whether a config can train on its data, and be evaluated on them."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import DefaultScope

from ..arguments import explained
from ..datasets.checked_images import use_checked_loader
from ..datasets.checked_pipelines import use_checked_pipelines
from ..datasets.data_check import checked_datasets, count_used
from ..datasets.kept import Kept
from ..datasets.pipelines import feed_all, with_objects
from ..messages import listed, number_of
from ..quiet import quiet_log, quiet_output
from ..text_tables import text_table
from .coco_metric import use_checked_metric
from .perfect import MOST, PerfectScore, score_perfect

#: what each split is used for
SPLITS = dict(train='train', val='evaluate')


@dataclass
class SplitReport:
    """What of a split is used.

    Attributes:
        kept: what each of its data sets keeps of its annotation file.
        folders: the folders of the images.
        refused: the images that the pipeline refuses without an error, so
            that training takes other ones.
    """

    kept: list[Kept] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def objects(self) -> Counter[str]:
        """The number of objects that are used, by class."""
        return _sum(one.objects for one in self.kept)

    def as_json(self) -> dict[str, Any]:
        """Give what is used and what is left out."""
        images = sum(one.images for one in self.kept)
        objects = self.objects
        return dict(
            files=[one.file for one in self.kept],
            folders=self.folders,
            images=_use(images, (one.images_left_out for one in self.kept)),
            objects=_use(
                objects.total(), (one.objects_left_out for one in self.kept)
            ),
            classes=dict(objects),
            refused=self.refused,
        )


def _use(number: int, left_out: Iterable[Mapping[str, int]]) -> dict[str, Any]:
    reasons = _sum(left_out)
    return dict(kept=number, dropped=reasons.total(), reasons=dict(reasons))


def _sum(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total


@dataclass
class DataReport:
    """What a check of data has found.

    Attributes:
        splits: ``train`` and, if there is an evaluation, ``val``.
        scores: the AP of perfect detections, ``bbox`` and perhaps ``segm``.
        notes: what is no mistake, one line each.
        problems: what is wrong, one line each.
    """

    splits: dict[str, SplitReport] = field(default_factory=dict)
    scores: dict[str, PerfectScore] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Give everything as JSON can hold it."""
        splits = dict.fromkeys(SPLITS) | {
            name: split.as_json() for name, split in self.splits.items()
        }
        return dict(
            ok=not self.problems,
            **splits,
            perfect={kind: score.ap for kind, score in self.scores.items()},
            perfect_by_class={
                kind: {
                    name: None if math.isnan(ap) else ap
                    for name, ap in score.classes.items()
                }
                for kind, score in self.scores.items()
            },
            notes=self.notes,
            problems=self.problems,
        )

    def table(self) -> str:
        """Lay out the objects and the AP of each class."""
        splits = list(self.splits.values())
        names = dict.fromkeys(name for s in splits for name in s.objects)
        head = ['class', *(f'{name} objects' for name in self.splits)]
        head += [f'{kind} AP' for kind in self.scores]
        scores = [score.classes for score in self.scores.values()]
        return text_table(
            head,
            [
                [
                    name,
                    *(split.objects[name] for split in splits),
                    *(_shown(score.get(name, math.nan)) for score in scores),
                ]
                for name in names
            ],
        )


def _shown(ap: float) -> str:
    return '-' if math.isnan(ap) else f'{ap:.3f}'


def inspect_data(cfg: Config, report: DataReport) -> None:
    """Use all the data of a config as training and evaluation would.

    The files are checked, every training image goes through the training
    pipeline, and the objects of the validation set are fed back to the
    evaluator as detections.

    Args:
        cfg: the config.
        report: what is found is added to it.

    Raises:
        ValueError: a file is wrong, or a data set cannot be built.
    """
    use_checked_loader()
    use_checked_pipelines()
    use_checked_metric()
    scope = cfg.get('default_scope') or 'mmdet'
    # pycocotools prints, and mmdet logs tables of figures.
    with (
        DefaultScope.overwrite_default_scope(scope),
        quiet_log(),
        quiet_output(),
    ):
        for name, dataset, content in checked_datasets(cfg, *SPLITS):
            split = report.splits.setdefault(name, SplitReport())
            kept, remarks = count_used(dataset, content)
            kept.require_objects(SPLITS[name])
            split.kept.append(kept)
            split.folders.append(str(dataset.data_prefix.get('img') or '.'))
            report.notes += remarks
        _feed(cfg, report)


def _feed(cfg: Config, report: DataReport) -> None:
    """Feed the images to the pipelines, and the objects to the evaluator."""
    for name, split in report.splits.items():
        missing = [key for key, number in split.objects.items() if not number]
        if missing:
            report.notes.append(
                f'{name} has no objects of {listed(missing, 8)}'
            )
    with explained('the data sets of the config cannot be built'):
        train = DATASETS.build(cfg.train_dataloader.dataset)
    _feed_training(train, report)
    if not cfg.get('val_dataloader'):
        return
    with explained('the evaluation of the config cannot be built'):
        val = DATASETS.build(cfg.val_dataloader.dataset)
        evaluator = Evaluator(cfg.val_evaluator)
    report.scores, problems = score_perfect(val, evaluator)
    report.problems += problems
    if not (report.scores or problems):
        report.notes.append(
            "the evaluator has no metric of COCO's, so that its figures for "
            'perfect detections are not known'
        )
    for kind, score in report.scores.items():
        _judge(kind, score, report)


def _feed_training(dataset: Any, report: DataReport) -> None:
    split = report.splits.setdefault('train', SplitReport())
    for path, problem in feed_all(dataset):
        if problem:
            report.problems.append(problem)
        else:
            split.refused.append(path)
    if split.refused and with_objects(dataset) <= {*split.refused}:
        report.problems.append(
            'the training pipeline refuses every image with objects, '
            'expected it to let some pass; correct the pipeline of the config'
        )
    elif split.refused:
        report.notes.append(
            f'the training pipeline refused '
            f'{number_of(len(split.refused), "images")}, for which training '
            f'takes others ({listed(split.refused)})'
        )


def _judge(kind: str, score: PerfectScore, report: DataReport) -> None:
    missed = [f'{name} ({ap:.3f})' for name, ap in score.missed().items()]
    if score.ap < 0:
        report.problems.append(f'{kind}: there is no object to evaluate on')
    elif missed:
        report.problems.append(
            f'{kind}: perfect detections have an AP of {score.ap:.3f}, '
            f'expected 1.000; the objects of {listed(missed)} are not all '
            f'found'
        )
    elif score.ap < 1:
        report.notes.append(
            f'{kind}: no detector can have an AP above {score.ap:.3f} here: '
            f'{number_of(score.crowded, "images")} with more than {MOST} '
            f'objects of a class, of which COCO counts {MOST} detections; '
            f'this is no mistake of the data'
        )
