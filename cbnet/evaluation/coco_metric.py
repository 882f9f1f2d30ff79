"""mmdet's COCO metric, for annotation files that pycocotools misreads."""

from typing import Any

from mmdet.evaluation import CocoMetric
from mmdet.registry import METRICS

from ..arguments import validated
from ..compat.mmengine_internals import replace_registered
from ..datasets.annotations import reindex


@METRICS.register_module()
@validated
class CheckedCocoMetric(CocoMetric):
    """mmdet's ``CocoMetric``, with the same options and figures.

    An annotation without ``iscrowd`` is a single object; pycocotools stops at
    it.  Annotations may be numbered from 0, which pycocotools takes for "no
    match", so that this object would never count as found.
    """

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Compute COCO's figures from what ``process`` has collected."""
        if self._coco_api is not None:
            annotations = self._coco_api.dataset['annotations']
            for entry in annotations:
                entry.setdefault('iscrowd', 0)
            if any(entry['id'] == 0 for entry in annotations):
                for number, entry in enumerate(annotations, start=1):
                    entry['id'] = number
                reindex(self._coco_api)
        return super().compute_metrics(results)


def use_checked_metric() -> None:
    """Let every evaluator that is built from now on accept such files."""
    replace_registered(METRICS, 'CocoMetric', CheckedCocoMetric)
