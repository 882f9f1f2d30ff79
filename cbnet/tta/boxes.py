"""Boxes of a two-stage detector from several views of the same images.

As published (mmdet 2.x): the proposals of all views are merged, the RoI head
sees all of them in every view, its boxes and class scores are averaged over
the views, and one NMS selects among them.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.ops import batched_nms
from mmdet.models.layers import multiclass_nms
from mmdet.structures.bbox import scale_boxes
from mmengine.structures import InstanceData
from torch import Tensor, nn

from .views import View


def merge_proposals(
    views: Sequence[View], reference: View, cfg: dict[str, Any]
) -> list[Tensor]:
    """Select among the proposals of all views, as ``test_cfg.rpn`` says.

    Returns:
        For each image boxes (n, 4), xyxy in pixels of the reference.
    """
    merged = []
    moved = [
        view.move([found.bboxes for found in view.proposals], reference)
        for view in views
    ]
    for i, boxes in enumerate(map(torch.cat, zip(*moved, strict=True))):
        # A single view has already selected, each level on its own.
        if len(views) > 1 and len(boxes):
            scores = torch.cat([view.proposals[i].scores for view in views])
            group = torch.zeros_like(scores, dtype=torch.long)
            selected, _ = batched_nms(boxes, scores, group, cfg.nms)
            boxes = selected[: cfg.max_per_img, :4]
        merged.append(boxes)
    return merged


def predict_boxes(
    roi_head: nn.Module,
    views: Sequence[View],
    reference: View,
    proposals: Sequence[Tensor],
    cfg: dict[str, Any],
) -> list[InstanceData]:
    """Average the box heads of all views on the same proposals.

    Args:
        roi_head: the RoI head of the detector.
        views: the views of the same images.
        reference: the view whose pixels the proposals are in.
        proposals: the boxes (n, 4), xyxy, of each image.
        cfg: the ``score_thr``, ``nms`` and ``max_per_img`` of the selection.

    Returns:
        For each image bboxes (n, 4), xyxy, scores (n,) and labels (n,).  The
        boxes are in pixels of the reference if masks follow, else in pixels
        of the image.
    """
    boxes, scores = [], []
    for view in views:
        moved = reference.move(proposals, view)
        raw = roi_head.predict_bbox(
            view.pyramid,
            view.metas,
            [InstanceData(bboxes=one) for one in moved],
            rcnn_test_cfg=None,  # selects nothing yet
            **view.semantic,
        )
        boxes.append(view.move([one.bboxes for one in raw], reference))
        scores.append([one.scores for one in raw])
    results = []
    for i, frame in enumerate(reference.frames):
        box = torch.stack([per_image[i] for per_image in boxes]).mean(dim=0)
        score = torch.stack([per_image[i] for per_image in scores]).mean(dim=0)
        if not roi_head.with_mask:
            box = scale_boxes(box, [1 / factor for factor in frame.scale])
        box, labels = multiclass_nms(
            box, score, cfg.score_thr, cfg.nms, cfg.max_per_img
        )
        results.append(
            InstanceData(bboxes=box[:, :-1], scores=box[:, -1], labels=labels)
        )
    return results
