"""Boxes and masks of a two-stage detector from several views.

As published (mmdet 2.x): the proposals of all views are merged, the RoI head
sees all of them in every view, its boxes and class scores are averaged over
the views, and one NMS selects among them.  Mask probabilities are averaged
over the views and pasted once.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.ops import batched_nms
from mmdet.models.detectors import TwoStageDetector
from mmdet.models.layers import multiclass_nms
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import scale_boxes
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ..compat.mmengine_internals import answer_calls
from .views import View, choose_reference, look


def predict_from_views(
    detector: TwoStageDetector,
    batches: Sequence[dict[str, Any]],
    cfg: dict[str, Any],
) -> list[DetDataSample]:
    """Predict in several views of the same images, averaging at every step.

    Args:
        detector: a detector whose ``views_are_averaged``.
        batches: the batch of each view.
        cfg: the ``score_thr``, ``nms`` and ``max_per_img`` of the final
            selection.

    Returns:
        For each image a sample with ``pred_instances`` in its pixels.
    """
    views = [look(detector, batch) for batch in batches]
    reference = choose_reference(views)
    rpn_cfg, roi_head = detector.rpn_head.test_cfg, detector.roi_head
    proposals = _merge_proposals(views, reference, rpn_cfg)
    results = _predict_boxes(roi_head, views, reference, proposals, cfg)
    if roi_head.with_mask:
        results = _predict_masks(roi_head, views, reference, results)
    return detector.add_pred_to_datasample(reference.samples, results)


def _merge_proposals(
    views: Sequence[View], reference: View, cfg: dict[str, Any]
) -> list[InstanceData]:
    """Select bboxes (n, 4), xyxy in the reference, from those of all views."""
    merged = []
    moved = [view.move(view.proposals, reference) for view in views]
    for i in range(len(reference.frames)):
        boxes = torch.cat([found[i].bboxes for found in moved])
        # A single view has already selected, each level on its own.
        if len(views) > 1 and len(boxes):
            scores = torch.cat([view.proposals[i].scores for view in views])
            group = torch.zeros_like(scores, dtype=torch.long)
            selected, _ = batched_nms(boxes, scores, group, cfg.nms)
            boxes = selected[: cfg.max_per_img, :4]
        merged.append(InstanceData(bboxes=boxes))
    return merged


def _predict_boxes(
    roi_head: nn.Module,
    views: Sequence[View],
    reference: View,
    proposals: Sequence[InstanceData],
    cfg: dict[str, Any],
) -> list[InstanceData]:
    """Average the box heads of all views on the same proposals.

    Returns:
        For each image the bboxes (n, 4), xyxy, scores (n,) and labels (n,).
        The boxes are in pixels of the reference if masks follow, else in
        pixels of the image.
    """
    boxes, scores = [], []
    for view in views:
        raw = roi_head.predict_bbox(
            view.pyramid,
            view.metas,
            reference.move(proposals, view),
            rcnn_test_cfg=None,  # selects nothing yet
            **view.semantic,
        )
        boxes.append(view.move(raw, reference))
        scores.append(raw)
    results = []
    for i, frame in enumerate(reference.frames):
        box = torch.stack([found[i].bboxes for found in boxes]).mean(dim=0)
        score = torch.stack([found[i].scores for found in scores]).mean(dim=0)
        if not roi_head.with_mask:
            box = scale_boxes(box, [1 / factor for factor in frame.scale])
        box, labels = multiclass_nms(
            box, score, cfg.score_thr, cfg.nms, cfg.max_per_img
        )
        results.append(
            InstanceData(bboxes=box[:, :-1], scores=box[:, -1], labels=labels)
        )
    return results


def _predict_masks(
    roi_head: nn.Module,
    views: Sequence[View],
    reference: View,
    results: list[InstanceData],
) -> list[InstanceData]:
    """Add masks (n, H, W) of the image; move its boxes to its pixels, too."""
    heads = roi_head.mask_head
    head = heads[-1] if isinstance(heads, nn.ModuleList) else heads
    totals: list[Any] = [0] * len(results)
    for view in views:
        moved = reference.move(results, view)
        maps = _mask_probabilities(roi_head, head, view, moved)
        for i, frame in enumerate(view.frames):
            totals[i] = totals[i] + frame.unflip(maps[i])
    return head.predict_by_feat(
        mask_preds=[total / len(views) for total in totals],
        results_list=results,
        batch_img_metas=reference.metas,
        rcnn_test_cfg=roi_head.test_cfg,
        rescale=True,
        activate_map=True,
    )


def _mask_probabilities(
    roi_head: nn.Module, head: nn.Module, view: View, found: list[InstanceData]
) -> list[Tensor]:
    """Return each image's mask probabilities (n, classes, h, w) in a view.

    RoI heads compute them in different ways (those of HTC from the last
    stage, or as the mean of all stages with ``StageMeanHTCRoIHead``), but
    all of them hand the probabilities of plain inference to the public
    ``predict_by_feat`` of their last mask head.
    """
    maps: list[Tensor] = []

    def record(
        mask_preds: Sequence[Tensor],
        results_list: list[InstanceData],
        activate_map: bool = False,
        **kwargs: Any,
    ) -> list[InstanceData]:
        maps.extend(m if activate_map else m.sigmoid() for m in mask_preds)
        return results_list

    semantic = view.semantic.values()
    with answer_calls(head, 'predict_by_feat', record):
        roi_head.predict_mask(view.pyramid, *semantic, view.metas, found)
    # RoI heads do not ask their mask heads if no image has a box.
    return maps or [one.bboxes.new_zeros(0, 1, 1, 1) for one in found]
