"""Test-time augmentation: detections from several views of an image.

A view is the image at one scale, perhaps flipped.  A two-stage detector
merges its views step by step, masks too, as published.  For any other
detector, the final detections are merged.  The views run one after another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import Ge
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.model import BaseTTAModel

from ..arguments import explained, validated
from .detections import detect, merge_detections
from .two_stage import predict_from_views
from .views import views_are_averaged


@dataclass(frozen=True)
class TTASettings:
    """The settings of the final selection, if they differ from test_cfg.

    Attributes:
        score_thr: the lowest score that is kept.
        nms: the config of NMS or soft-NMS.
        max_per_img: the most detections of an image; -1: all.
    """

    score_thr: Annotated[float, Ge(0)]
    nms: dict[str, Any]
    max_per_img: Annotated[int, Ge(-1)]


@MODELS.register_module()
@validated
class MaskTTAModel(BaseTTAModel):
    """Merge the boxes and the masks of several views of each image.

    Thresholds, NMS or soft-NMS and the number of detections are those of the
    detector's ``test_cfg``.

    Args:
        tta_cfg: the overrides of ``test_cfg``, as :class:`TTASettings`.
        kwargs: the arguments of mmengine's ``BaseTTAModel``, above all
            ``module``, the detector or its config.
    """

    def __init__(
        self,
        tta_cfg: Annotated[dict[str, Any] | None, TTASettings] = None,
        **kwargs: Any,
    ) -> None:
        with explained('MaskTTAModel does not accept its arguments'):
            super().__init__(**kwargs)
        cfg = getattr(self.module, 'test_cfg', None) or {}
        self.tta_cfg = ConfigDict(cfg.get('rcnn') or cfg, **(tta_cfg or {}))

    @torch.no_grad()
    def test_step(self, data: dict[str, list]) -> list[DetDataSample]:
        """Detect in a batch of images.

        Args:
            data: the ``inputs`` and ``data_samples``, for each view a list
                of images, as ``TestTimeAug`` and ``pseudo_collate`` make it.

        Returns:
            For each image a sample with ``pred_instances`` in pixels of the
            image: bboxes (n, 4), xyxy, scores (n,), labels (n,) and perhaps
            masks (n, H, W).

        Raises:
            ValueError: if the samples do not say how the views were made.
        """
        batches = [
            dict(zip(data, values, strict=True))
            for values in zip(*data.values(), strict=True)
        ]
        if views_are_averaged(self.module):
            return predict_from_views(self.module, batches, self.tta_cfg)
        found = [detect(self.module, batch) for batch in batches]
        return self.merge_preds(list(zip(*found, strict=True)))

    def merge_preds(
        self, data_samples_list: Sequence[Sequence[DetDataSample]]
    ) -> list[DetDataSample]:
        """Merge the final detections of all views, image by image."""
        return [
            merge_detections(samples, self.tta_cfg)
            for samples in data_samples_list
        ]
