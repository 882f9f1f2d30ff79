"""Masks of boxes in several views: probabilities averaged, pasted once."""

from collections.abc import Sequence
from typing import Any

from mmengine.structures import InstanceData
from torch import Tensor, nn

from .views import View


def predict_masks(
    roi_head: nn.Module,
    views: Sequence[View],
    reference: View,
    results: list[InstanceData],
) -> list[InstanceData]:
    """Add masks to detections.

    Args:
        roi_head: the RoI head, with one mask head or one for each stage.
        views: the views of the same images.
        reference: the view whose pixels the boxes are in.
        results: for each image bboxes (n, 4), xyxy, scores (n,), labels (n,).

    Returns:
        The same with masks (n, H, W); boxes and masks are in pixels of the
        images before they were resized.
    """
    heads = roi_head.mask_head
    head = heads[-1] if isinstance(heads, nn.ModuleList) else heads
    totals: list[Any] = [0] * len(results)
    for view in views:
        boxes = reference.move([found.bboxes for found in results], view)
        maps = _probabilities(roi_head, head, view, boxes)
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


def _probabilities(
    roi_head: nn.Module, head: nn.Module, view: View, boxes: list[Tensor]
) -> list[Tensor]:
    """Return each image's mask probabilities (n, classes, h, w) in a view.

    RoI heads compute them in different ways (those of HTC from the last
    stage, or as the mean of all stages with ``StageMeanHTCRoIHead``), but
    all of them hand the probabilities of plain inference to the public
    ``predict_by_feat`` of their last mask head, which is replaced here.
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

    head.predict_by_feat = record
    try:
        roi_head.predict_mask(
            view.pyramid,
            *view.semantic.values(),
            view.metas,
            [InstanceData(bboxes=one) for one in boxes],
        )
    finally:
        del head.predict_by_feat
    # RoI heads do not ask their mask heads if no image has a box.
    return maps or [one.new_zeros(0, 1, 1, 1) for one in boxes]
