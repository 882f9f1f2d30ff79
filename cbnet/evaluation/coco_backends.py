"""The packages that can run COCO's evaluation, behind one function."""

import importlib
import importlib.util
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.logging import print_log
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ..datasets.annotations import index
from ..errors import UserValueError
from ..messages import one_line
from ..quiet import quiet_output

#: name -> module, class of the evaluation, and package; the fastest first
_PACKAGES = {
    'hotcoco': ('hotcoco', 'COCOeval', 'hotcoco'),
    'faster': ('faster_coco_eval', 'COCOeval_faster', 'faster-coco-eval'),
}
PYCOCOTOOLS, FASTEST = 'pycocotools', 'fastest'
BACKENDS = (*_PACKAGES, PYCOCOTOOLS)
_PARAMETERS = (
    'imgIds', 'catIds', 'iouThrs', 'recThrs', 'maxDets', 'areaRng', 'useCats'
)  # fmt: skip


def fastest_backend() -> str:
    """Name the fastest backend whose package is installed."""
    return next(filter(_is_installed, _PACKAGES), PYCOCOTOOLS)


def load_backend(name: str) -> tuple[type, type]:
    """Import a backend's classes ``COCO`` and ``COCOeval``.

    Args:
        name: one of ``BACKENDS``.

    Raises:
        ValueError: the backend is unknown, or its package is missing.
    """
    if name not in BACKENDS:
        raise UserValueError(
            f'backend is {name!r}, expected {FASTEST}, {" or ".join(BACKENDS)}'
        )
    if name == PYCOCOTOOLS:
        return COCO, COCOeval
    module, evaluation, package = _PACKAGES[name]
    if not _is_installed(name):
        raise UserValueError(
            f'the backend {name} needs the package {package}, which is '
            f'not installed; run: pip install {package}'
        )
    loaded = importlib.import_module(module)
    return loaded.COCO, getattr(loaded, evaluation)


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(_PACKAGES[name][0]) is not None


def run(
    backend: tuple[type, type],
    content: dict,
    entries: list[dict],
    iou_type: str,
    parameters: Mapping[str, Any],
) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate detections; the backend may change both inputs.

    Args:
        backend: the classes of ``load_backend``.
        content: the content of the annotation file.
        entries: the detections in COCO's results format.
        iou_type: ``bbox`` or ``segm``.
        parameters: the attributes of ``COCOeval.params`` to set, such as
            ``maxDets``, in ascending order.

    Returns:
        The precisions, of shape (IoUs, recalls, classes, areas, maxDets),
        and the recalls, of shape (IoUs, classes, areas, maxDets). Classes
        are in the order of their ids; -1 stands for "nothing to measure".
    """
    coco, _ = backend
    with quiet_output():  # both print a lot
        truth = index(coco, content)
        if entries:
            found = truth.loadRes(entries)
        else:  # pycocotools looks at the first entry
            found = index(coco, {**content, 'annotations': []})
    return _evaluate(backend, truth, found, iou_type, parameters)


def _evaluate(
    backend: tuple[type, type],
    truth: Any,
    found: Any,
    iou_type: str,
    parameters: Mapping[str, Any],
) -> tuple[np.ndarray, np.ndarray]:
    with quiet_output():
        evaluation = backend[1](truth, found, iou_type)
        for name, value in parameters.items():
            setattr(evaluation.params, name, value)
        evaluation.evaluate()
        evaluation.accumulate()
    precision, recall = evaluation.eval['precision'], evaluation.eval['recall']
    return np.asarray(precision), np.asarray(recall)


class OrderedEvaluation(COCOeval):
    """pycocotools' evaluation, with the classes in the order asked for.

    pycocotools sorts the classes by their ids. mmdet's metric reads the
    figures of each class in its own order, which is that of the file, so
    that classes got the figures of others.
    """

    def evaluate(self) -> None:
        """Match the detections."""
        self.asked = list(self.params.catIds)
        super().evaluate()

    def accumulate(self, p: Any = None) -> None:
        """Compute the precisions and recalls."""
        super().accumulate(p)
        self.order_classes()

    def order_classes(self) -> None:
        """Put the axis of the classes of ``eval`` in the order asked for."""
        if self.params.useCats:
            places = np.searchsorted(np.unique(self.asked), self.asked)
            for name, axis in (('precision', 2), ('recall', 1)):
                self.eval[name] = np.take(self.eval[name], places, axis)


def report_refusal(name: str, error: Exception) -> None:
    """Say that pycocotools evaluates what another backend refuses.

    hotcoco, for example, refuses negative ids.
    """
    print_log(
        f'{PYCOCOTOOLS} evaluates, because {name} refuses these files: '
        f'{one_line(error, 300)}',
        'current',
        logging.WARNING,
    )


def quick_evaluation(name: str) -> type[COCOeval]:
    """Give pycocotools' evaluation with the figures of another backend.

    It serves code that was written for ``COCOeval``: ``evaluate`` only puts
    the parameters in order, and ``accumulate`` fills ``eval`` with the
    precisions and recalls. Where the backend refuses what pycocotools reads,
    pycocotools evaluates.

    Args:
        name: one of ``BACKENDS``.

    Raises:
        ValueError: see ``load_backend``.
    """
    backend = load_backend(name)
    if name == PYCOCOTOOLS:
        return OrderedEvaluation

    class QuickEvaluation(OrderedEvaluation):
        def evaluate(self) -> None:
            params = self.params
            self.asked = list(params.catIds)
            params.imgIds = np.unique(params.imgIds)
            if params.useCats:
                params.catIds = np.unique(params.catIds)
            params.maxDets = sorted(params.maxDets)

        def accumulate(self, p: Any = None) -> None:
            asked = self.asked
            parameters = {
                key: np.asarray(getattr(self.params, key)).tolist()
                for key in _PARAMETERS
            }
            try:
                precision, recall = _evaluate(
                    backend,
                    index(backend[0], self.cocoGt.dataset),
                    index(backend[0], self.cocoDt.dataset),
                    self.params.iouType,
                    parameters,
                )
            except Exception as error:
                report_refusal(name, error)
                super().evaluate()
                self.asked = asked
                super().accumulate()
                return
            self.eval = dict(precision=precision, recall=recall)
            self.order_classes()

    return QuickEvaluation
