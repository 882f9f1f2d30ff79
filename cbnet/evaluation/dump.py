"""mmdet's file of predictions, also for masks that are encoded already."""

from collections.abc import Sequence
from typing import Any

from mmdet.evaluation import DumpDetResults


class DumpRunLengths(DumpDetResults):
    """Write what mmdet's ``DumpDetResults`` writes.

    mmdet's takes only tensors for masks.
    """

    def process(
        self, data_batch: dict, data_samples: Sequence[dict[str, Any]]
    ) -> None:
        """Collect the predictions of a batch."""
        encoded, others = {}, []
        for number, sample in enumerate(data_samples, len(self.results)):
            found = sample.get('pred_instances', {})
            if isinstance(found.get('masks'), list):
                found = dict(found)
                # Copies, because mmdet's COCO metric changes its own.
                encoded[number] = [dict(one) for one in found.pop('masks')]
                sample = dict(sample, pred_instances=found)
            others.append(sample)
        super().process(data_batch, others)
        for number, masks in encoded.items():
            self.results[number]['pred_instances']['masks'] = masks
