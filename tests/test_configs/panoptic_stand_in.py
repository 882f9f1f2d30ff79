"""What mmdet reads of panopticapi, which no package index has.

The panoptic quality of a class is the sum of the IoUs of its matches over
their number and half that of what is not matched (arXiv 1801.00868).
"""

import sys
from collections import defaultdict
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace

import numpy as np


class PQStat(defaultdict):
    """The counts of each category."""

    def __init__(self):
        super().__init__(lambda: SimpleNamespace(tp=0, fp=0, fn=0, iou=0.0))

    def __iadd__(self, other):
        for category, counts in other.items():
            for key, value in vars(counts).items():
                mine = self[category]
                setattr(mine, key, getattr(mine, key) + value)
        return self

    def pq_average(self, categories, isthing):
        """Average over the classes that are there."""
        found = {}
        for key, category in categories.items():
            one = self[key]
            everything = one.tp + (one.fp + one.fn) / 2
            if everything and isthing in (None, category['isthing'] == 1):
                found[key] = dict(
                    pq=one.iou / everything,
                    sq=one.iou / one.tp if one.tp else 0.0,
                    rq=one.tp / everything,
                )
        means = {
            key: float(
                np.mean([one[key] for one in found.values() or [{key: 0}]])
            )
            for key in ('pq', 'sq', 'rq')
        }
        return dict(means, n=len(found)), found


def rgb2id(colours):
    r, g, b = np.moveaxis(colours.astype(np.int64), -1, 0)
    return r + 256 * g + 256**2 * b


def id2rgb(number):
    return np.stack([number >> shift & 255 for shift in (0, 8, 16)], -1)


def stand_in(monkeypatch):
    """Put this in the place of panopticapi, unless it is installed."""
    if find_spec('panopticapi'):
        return
    from mmdet.evaluation.functional import panoptic_utils
    from mmdet.evaluation.metrics import coco_panoptic_metric

    package = ModuleType('panopticapi')
    package.__spec__ = ModuleSpec('panopticapi', None)
    package.utils = SimpleNamespace(rgb2id=rgb2id, id2rgb=id2rgb)
    monkeypatch.setitem(sys.modules, 'panopticapi', package)
    names = dict(PQStat=PQStat, VOID=0, rgb2id=rgb2id, id2rgb=id2rgb)
    for module in (panoptic_utils, coco_panoptic_metric):
        for name, value in names.items():
            monkeypatch.setattr(module, name, value, raising=False)
    monkeypatch.setattr(coco_panoptic_metric, 'panopticapi', package)
