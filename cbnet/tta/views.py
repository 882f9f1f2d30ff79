"""Views of the same images, computed up to their proposals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmdet.models.detectors import TwoStageDetector
from mmdet.models.roi_heads import (
    CascadeRoIHead,
    HybridTaskCascadeRoIHead,
    StandardRoIHead,
)
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor, nn

from .frames import Frame, frame_of, hide_flip

_ROI_HEADS = (StandardRoIHead, CascadeRoIHead, HybridTaskCascadeRoIHead)
_STEPS = ('predict', 'predict_bbox', 'predict_mask')


@dataclass
class View:
    """What a detector computes from one view of a batch, up to its proposals.

    Attributes:
        samples: the samples of the batch.
        frames: the place of each image in the view.
        metas: the metainfo of the samples, without flips.
        pyramid: the output of the neck.
        semantic: ``semantic_feat`` for RoI heads that take it, else empty.
        proposals: for each image bboxes (n, 4), xyxy in pixels of the view,
            and scores (n,).
    """

    samples: list[DetDataSample]
    frames: list[Frame]
    metas: list[dict[str, Any]]
    pyramid: tuple[Tensor, ...]
    semantic: dict[str, Tensor | None]
    proposals: list[InstanceData]

    def move(
        self, found: Sequence[InstanceData], target: 'View'
    ) -> list[InstanceData]:
        """Map the bboxes of each image from this view to another one."""
        places = zip(found, self.frames, target.frames, strict=True)
        return [
            InstanceData(bboxes=here.move(one.bboxes, there))
            for one, here, there in places
        ]


def views_are_averaged(detector: nn.Module) -> bool:
    """Tell whether a detector predicts in the steps of ``two_stage``."""
    predict = getattr(type(detector), 'predict', None)
    if predict is not TwoStageDetector.predict:
        return False
    if not detector.with_rpn or not detector.with_roi_head:
        return False
    own = type(detector.roi_head)
    return any(
        all(getattr(own, step) is getattr(known, step) for step in _STEPS)
        for known in _ROI_HEADS
    )


def look(detector: TwoStageDetector, batch: dict[str, Any]) -> View:
    """Run a detector on a view, up to its proposals."""
    frames = [frame_of(sample) for sample in batch['data_samples']]
    batch = detector.data_preprocessor(batch, False)
    hidden = [hide_flip(sample) for sample in batch['data_samples']]
    pyramid = detector.extract_feat(batch['inputs'])
    roi_head = detector.roi_head
    semantic = {}
    if isinstance(roi_head, HybridTaskCascadeRoIHead):
        semantic['semantic_feat'] = None
        if roi_head.with_semantic:
            _, semantic['semantic_feat'] = roi_head.semantic_head(pyramid)
    return View(
        samples=batch['data_samples'],
        frames=frames,
        metas=[sample.metainfo for sample in hidden],
        pyramid=pyramid,
        semantic=semantic,
        proposals=detector.rpn_head.predict(pyramid, hidden, rescale=False),
    )


def choose_reference(views: Sequence[View]) -> View:
    """Return the view in whose pixels boxes are merged, without its flip.

    Deviation: pixels in which views are merged.  This is the first view that
    is not flipped, so that its own boxes are not rounded.
    """
    view = next(
        (view for view in views if not any(f.flip for f in view.frames)),
        views[0],
    )
    return replace(view, frames=[f._replace(flip=None) for f in view.frames])
