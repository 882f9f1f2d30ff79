"""Test-time augmentation: detections from several views of an image.

A view is the image at one scale, perhaps flipped.  Two-stage detectors are
merged as published, inside the detector, masks too; of any other detector
the final detections are merged.  The views run one after another.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.model import BaseTTAModel

from ..errors import UserValueError
from .detections import merge_detections
from .frames import frame_of, hide_flip
from .masks import predict_masks
from .views import (
    choose_reference,
    look,
    merge_proposals,
    predict_boxes,
    views_are_averaged,
)


@MODELS.register_module()
class MaskTTAModel(BaseTTAModel):
    """Merge the boxes and the masks of several views of each image.

    The detector's ``test_cfg`` holds: thresholds, NMS or soft-NMS, how many
    detections an image keeps.

    Args:
        tta_cfg: ``score_thr``, ``nms`` and ``max_per_img`` for the final
            selection, where they are to differ from the ``test_cfg``, or
            where the detector has none of its own, as those without NMS.
        kwargs: ``module``: the detector or its config, and what else
            mmengine's ``BaseTTAModel`` takes.
    """

    def __init__(
        self, tta_cfg: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        cfg = getattr(self.module, 'test_cfg', None) or {}
        self.tta_cfg = ConfigDict(
            {**(cfg.get('rcnn') or cfg), **(tta_cfg or {})}
        )

    @torch.no_grad()
    def test_step(self, data: dict[str, list]) -> list[DetDataSample]:
        """Detect in a batch of images.

        Args:
            data: ``inputs`` and ``data_samples``, for each view a list with
                an entry for each image, as a pipeline with ``TestTimeAug``
                and mmengine's ``pseudo_collate`` make them.

        Returns:
            For each image a sample with ``pred_instances``, in pixels of
            the image: bboxes (n, 4), xyxy, scores (n,), labels (n,) and
            perhaps masks (n, H, W).

        Raises:
            ValueError: the samples do not say how the views were made.
        """
        batches = [
            dict(zip(data, values, strict=True))
            for values in zip(*data.values(), strict=True)
        ]
        if not views_are_averaged(self.module):
            views = [self._detect(batch) for batch in batches]
            return self.merge_preds(list(zip(*views, strict=True)))
        views = [look(self.module, batch) for batch in batches]
        reference = choose_reference(views)
        roi_head = self.module.roi_head
        proposals = merge_proposals(
            views, reference, self.module.rpn_head.test_cfg
        )
        results = predict_boxes(
            roi_head, views, reference, proposals, self.tta_cfg
        )
        if roi_head.with_mask:
            results = predict_masks(roi_head, views, reference, results)
        return self.module.add_pred_to_datasample(reference.samples, results)

    def _detect(self, batch: dict[str, list]) -> list[DetDataSample]:
        """Run the whole detector on one view; it is not told of a flip."""
        samples = batch['data_samples']
        frames = [frame_of(sample) for sample in samples]
        hidden = [hide_flip(sample) for sample in samples]
        found = self.module.test_step(dict(batch, data_samples=hidden))
        for sample, frame in zip(found, frames, strict=True):
            if 'pred_instances' not in sample:
                raise UserValueError(
                    f'{type(self.module).__name__} predicts no instances, '
                    f'and test-time augmentation merges nothing else'
                )
            sample.set_metainfo(
                dict(flip=bool(frame.flip), flip_direction=frame.flip)
            )
        return found

    def merge_preds(
        self, data_samples_list: Sequence[Sequence[DetDataSample]]
    ) -> list[DetDataSample]:
        """Merge final detections; every box keeps its own mask.

        Args:
            data_samples_list: for each image its sample in every view,
                predictions in pixels of the image, flipped as the view.

        Raises:
            ValueError: nothing says which NMS to use.
        """
        merged = []
        for samples in data_samples_list:
            sample = next((s for s in samples if not s.flip), samples[0])
            sample.pred_instances = merge_detections(samples, self.tta_cfg)
            merged.append(sample)
        return merged
