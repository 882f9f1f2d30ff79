"""Masks of boxes in several views: probabilities averaged, pasted once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mmengine.structures import InstanceData
from torch import Tensor, nn

if TYPE_CHECKING:
    from .views import View


def predict_masks(
    roi_head: nn.Module,
    views: Sequence['View'],
    reference: 'View',
    results: list[InstanceData],
) -> list[InstanceData]:
    """Give detections their masks.

    Args:
        roi_head: with one mask head, or one a stage.
        views: of the same images.
        reference: the view whose pixels the boxes are in.
        results: for each image bboxes (n, 4), scores (n,), labels (n,).

    Returns:
        The same with masks (n, H, W), boxes and masks in pixels of the
        images as they were before they were resized.
    """
    heads = roi_head.mask_head
    head = heads[-1] if isinstance(heads, nn.ModuleList) else heads
    totals: list[Any] = [0] * len(results)
    for view in views:
        boxes = [
            here.move(found.bboxes, there)
            for found, here, there in zip(
                results, reference.frames, view.frames, strict=True
            )
        ]
        maps = _probabilities(roi_head, head, view, results, boxes)
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
    roi_head: nn.Module,
    head: nn.Module,
    view: 'View',
    results: list[InstanceData],
    boxes: list[Tensor],
) -> list[Tensor]:
    """Give each image's mask probabilities (n, classes, h, w) in a view."""
    moved = [
        InstanceData(bboxes=b, scores=found.scores, labels=found.labels)
        for b, found in zip(boxes, results, strict=True)
    ]
    with _not_pasted(head) as maps:
        roi_head.predict_mask(
            view.pyramid, *view.semantic.values(), view.metas, moved
        )
    # Where no image has a box, RoI heads do not ask their mask heads.
    return maps or [b.new_zeros(0, 1, 1, 1) for b in boxes]


@contextmanager
def _not_pasted(head: nn.Module) -> Iterator[list[Tensor]]:
    """Record the probabilities that a mask head is given to paste.

    RoI heads differ in how they come to them (one head, the mean of a
    cascade's, a flow of features from stage to stage, semantic features),
    but all hand them to the public ``predict_by_feat`` of the last head.

    Deviation: HTC's are those of the last stage, as mmdet 3.3 predicts;
    published (mmdet 2.x), in plain inference too: the mean of all stages.
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
        yield maps
    finally:
        del head.predict_by_feat
