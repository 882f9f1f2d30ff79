"""Boxes of a two-stage detector from several views of the same images.

As published (mmdet 2.x): the views' proposals are merged, every view's RoI
head sees all of them, their boxes and class scores are averaged, and one
NMS selects.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from mmcv.ops import batched_nms
from mmdet.models.detectors import TwoStageDetector
from mmdet.models.layers import multiclass_nms
from mmdet.models.roi_heads import (
    CascadeRoIHead,
    HybridTaskCascadeRoIHead,
    StandardRoIHead,
)
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import scale_boxes
from mmengine.structures import InstanceData
from torch import Tensor, nn

from .frames import Frame, frame_of, hide_flip

_ROI_HEADS = (StandardRoIHead, CascadeRoIHead, HybridTaskCascadeRoIHead)
_STEPS = ('predict', 'predict_bbox', 'predict_mask')


@dataclass
class View:
    """What a detector makes of one view of a batch, up to its proposals."""

    samples: list[DetDataSample]
    frames: list[Frame]
    #: metainfo of the samples, flips left out
    metas: list[dict[str, Any]]
    #: what the neck returns
    pyramid: tuple[Tensor, ...]
    #: ``semantic_feat`` for RoI heads that take it, else empty
    semantic: dict[str, Tensor | None]
    #: for each image bboxes (n, 4), xyxy in pixels of the view, scores (n,)
    proposals: list[InstanceData]


def views_are_averaged(detector: nn.Module) -> bool:
    """Tell whether a detector has proposals and predicts in known steps."""
    if (
        not isinstance(detector, TwoStageDetector)
        or type(detector).predict is not TwoStageDetector.predict
        or not detector.with_rpn
        or not detector.with_roi_head
    ):
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
    samples = batch['data_samples']
    hidden = [hide_flip(sample) for sample in samples]
    pyramid = detector.extract_feat(batch['inputs'])
    roi_head = detector.roi_head
    semantic = {}
    if isinstance(roi_head, HybridTaskCascadeRoIHead):
        semantic['semantic_feat'] = (
            roi_head.semantic_head(pyramid)[1]
            if roi_head.with_semantic
            else None
        )
    return View(
        samples=samples,
        frames=frames,
        metas=[sample.metainfo for sample in hidden],
        pyramid=pyramid,
        semantic=semantic,
        proposals=detector.rpn_head.predict(pyramid, hidden, rescale=False),
    )


def choose_reference(views: Sequence[View]) -> View:
    """Give the view in whose pixels boxes are merged, without its flip.

    That of one view, not of the image, so that its own boxes are exact.
    """
    view = next(
        (view for view in views if not any(f.flip for f in view.frames)),
        views[0],
    )
    return replace(view, frames=[f._replace(flip=None) for f in view.frames])


def merge_proposals(
    views: Sequence[View], reference: View, cfg: dict[str, Any]
) -> list[Tensor]:
    """Select among the proposals of all views.

    Args:
        views: of the same images.
        reference: see :func:`choose_reference`.
        cfg: ``test_cfg.rpn``.

    Returns:
        For each image boxes (n, 4), xyxy in pixels of the reference.
    """
    merged = []
    for i, frame in enumerate(reference.frames):
        found = [view.proposals[i] for view in views]
        boxes = torch.cat(
            [
                view.frames[i].move(view.proposals[i].bboxes, frame)
                for view in views
            ]
        )
        # One view has selected already, each level of the pyramid for itself.
        if len(views) > 1 and len(boxes):
            scores = torch.cat([one.scores for one in found])
            group = torch.zeros_like(scores, dtype=torch.long)
            selected, _ = batched_nms(boxes, scores, group, cfg.nms)
            boxes = selected[: cfg.max_per_img, :4]
        merged.append(boxes)
    return merged


def predict_boxes(
    roi_head: nn.Module,
    views: Sequence[View],
    reference: View,
    proposals: list[Tensor],
    cfg: dict[str, Any],
) -> list[InstanceData]:
    """Average the box heads of all views on the same proposals.

    Args:
        roi_head: of the detector.
        views: of the same images.
        reference: see :func:`choose_reference`.
        proposals: for each image (n, 4), xyxy in pixels of the reference.
        cfg: ``score_thr``, ``nms`` and ``max_per_img`` of the selection.

    Returns:
        For each image bboxes (n, 4), scores (n,) and labels (n,); boxes are
        in pixels of the reference where masks follow, else of the image.
    """
    boxes: list[list[Tensor]] = [[] for _ in proposals]
    scores: list[list[Tensor]] = [[] for _ in proposals]
    for view in views:
        frames = list(zip(reference.frames, view.frames, strict=True))
        moved = [
            InstanceData(bboxes=here.move(box, there))
            for box, (here, there) in zip(proposals, frames, strict=True)
        ]
        # Without a config for it, nothing is selected.
        raw = roi_head.predict_bbox(
            view.pyramid,
            view.metas,
            moved,
            rcnn_test_cfg=None,
            **view.semantic,
        )
        for i, (here, there) in enumerate(frames):
            boxes[i].append(there.move(raw[i].bboxes, here))
            scores[i].append(raw[i].scores)
    results = []
    for i, frame in enumerate(reference.frames):
        mean = torch.stack(boxes[i]).mean(dim=0)
        if not roi_head.with_mask:
            mean = scale_boxes(mean, [1 / factor for factor in frame.scale])
        selected, labels = multiclass_nms(
            mean,
            torch.stack(scores[i]).mean(dim=0),
            cfg.score_thr,
            cfg.nms,
            cfg.max_per_img,
        )
        results.append(
            InstanceData(
                bboxes=selected[:, :-1], scores=selected[:, -1], labels=labels
            )
        )
    return results
