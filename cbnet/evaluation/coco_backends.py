"""The packages that can run COCO's evaluation, behind one function each.

A backend is a function that imports its package and gives the function that
runs it::

    run(content, entries, iou_type, max_dets) -> (precision, recall)

``content`` is the annotation file, ``entries`` the detections; both belong to
the backend, which changes them.  ``precision`` has the shape (IoUs, recalls,
classes, areas, max_dets), ``recall`` (IoUs, classes, areas, max_dets), classes
in the order of their ids, -1 where there is nothing to measure.
"""

import contextlib
import importlib.util
import io
from collections.abc import Callable

import numpy as np

from ..datasets.annotations import index
from ..errors import UserValueError

Run = Callable[[dict, list, str, list], tuple[np.ndarray, np.ndarray]]


def _pycocotools() -> Run:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return _runner(COCO, COCOeval)


def _faster() -> Run:
    if importlib.util.find_spec('faster_coco_eval') is None:
        raise UserValueError(
            'the backend faster needs the package faster-coco-eval, which is '
            'not installed; run: pip install faster-coco-eval'
        )
    from faster_coco_eval import COCO, COCOeval_faster

    return _runner(COCO, COCOeval_faster)


#: name of a backend -> what gives its function
BACKENDS = {'pycocotools': _pycocotools, 'faster': _faster}


def _runner(coco: type, evaluator: type) -> Run:
    """Run either package; the second has taken over the first's classes."""

    def run(
        content: dict, entries: list, iou_type: str, max_dets: list
    ) -> tuple[np.ndarray, np.ndarray]:
        with contextlib.redirect_stdout(io.StringIO()):  # both are talkative
            truth = index(coco, content)
            if entries:
                found = truth.loadRes(entries)
            else:  # pycocotools looks at the first entry
                found = index(coco, {**content, 'annotations': []})
            evaluation = evaluator(truth, found, iou_type)
            evaluation.params.maxDets = list(max_dets)
            evaluation.evaluate()
            evaluation.accumulate()
        precision, recall = (
            np.asarray(evaluation.eval[key]) for key in ('precision', 'recall')
        )
        return precision, recall

    return run
