"""The packages that can run COCO's evaluation, behind one function."""

import contextlib
import importlib.util
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ..datasets.annotations import index
from ..errors import UserValueError

#: pycocotools, and the package faster-coco-eval
BACKENDS = ('pycocotools', 'faster')


def load_backend(name: str) -> tuple[type, type]:
    """Import a backend's classes ``COCO`` and ``COCOeval``.

    Raises:
        ValueError: the backend is unknown, or its package is missing.
    """
    if name not in BACKENDS:
        raise UserValueError(
            f'backend is {name!r}, expected {" or ".join(BACKENDS)}'
        )
    if name == 'pycocotools':
        return COCO, COCOeval
    if importlib.util.find_spec('faster_coco_eval') is None:
        raise UserValueError(
            'the backend faster needs the package faster-coco-eval, which is '
            'not installed; run: pip install faster-coco-eval'
        )
    import faster_coco_eval

    return faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster


def run(
    backend: tuple[type, type],
    content: dict,
    entries: list[dict],
    iou_type: str,
    max_dets: list[int],
) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate detections; the backend may change both inputs.

    Args:
        backend: the classes of ``load_backend``.
        content: the content of the annotation file.
        entries: the detections in COCO's results format.
        iou_type: ``bbox`` or ``segm``.
        max_dets: the numbers of detections per image, in ascending order.

    Returns:
        The precisions, of shape (IoUs, recalls, classes, areas, max_dets),
        and the recalls, of shape (IoUs, classes, areas, max_dets). Classes
        are in the order of their ids; -1 stands for "nothing to measure".
    """
    coco, evaluator = backend
    with contextlib.redirect_stdout(io.StringIO()):  # both print a lot
        truth = index(coco, content)
        if entries:
            found = truth.loadRes(entries)
        else:  # pycocotools looks at the first entry
            found = index(coco, {**content, 'annotations': []})
        evaluation = evaluator(truth, found, iou_type)
        evaluation.params.maxDets = max_dets
        evaluation.evaluate()
        evaluation.accumulate()
    precision, recall = evaluation.eval['precision'], evaluation.eval['recall']
    return np.asarray(precision), np.asarray(recall)
