"""Run a detector, or its heads as in training, on shapes without data."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from mmdet.models.detectors import TwoStageDetector
from mmdet.models.roi_heads import (
    CascadeRoIHead,
    HybridTaskCascadeRoIHead,
)
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.structures import DetDataSample
from torch import Tensor, nn

Maps = tuple[Tensor, ...]


@dataclass(frozen=True)
class RoIs:
    """How many RoIs of an image the heads of one stage see.

    Attributes:
        boxes: those of the box head.
        masks: those of the mask head.
    """

    boxes: int
    masks: int


def run_inference(detector: nn.Module, image: Tensor) -> list[RoIs]:
    """Run what inference runs, up to the selection of detections.

    The box heads of all stages see as many RoIs as the config keeps
    proposals (``test_cfg.rpn.max_per_img``), the mask heads as many as it
    keeps detections (``test_cfg.rcnn.max_per_img``).

    Args:
        detector: on the meta device, in eval mode.
        image: (1, 3, H, W), on the meta device.

    Returns:
        The RoIs of each stage; empty without RoI heads.
    """
    if not isinstance(detector, TwoStageDetector):
        detector(image, [_sample(image)], mode='tensor')
        return []
    test_cfg = detector.test_cfg
    rpn = test_cfg.get('rpn') or {}
    kept = RoIs(
        rpn.get('max_per_img', 1000), test_cfg.rcnn.get('max_per_img', 100)
    )
    rois = [kept] * _num_stages(detector.roi_head)
    _two_stage_heads(detector, detector.extract_feat(image), rois, False)
    return rois


def run_training_heads(detector: nn.Module, pyramid: Maps) -> list[RoIs]:
    """Run neck and heads of a two-stage detector as a loss pass does.

    The box heads see as many RoIs as their sampler draws, the mask heads as
    many as it takes positive ones at most.

    Args:
        detector: on the meta device.
        pyramid: of one member.

    Returns:
        The RoIs of each stage.
    """
    x = detector.neck(pyramid) if detector.with_neck else pyramid
    stages = detector.roi_head.train_cfg
    if not isinstance(stages, list | tuple):
        stages = [stages] * _num_stages(detector.roi_head)
    samplers = [stage['sampler'] for stage in stages]
    rois = [
        RoIs(sampler['num'], int(sampler['num'] * sampler['pos_fraction']))
        for sampler in samplers
    ]
    _two_stage_heads(detector, x, rois, True)
    return rois


def _num_stages(roi_head: nn.Module) -> int:
    return getattr(roi_head, 'num_stages', 1)


def _sample(image: Tensor) -> DetDataSample:
    size = tuple(image.shape[-2:])
    return DetDataSample(
        metainfo=dict(
            img_shape=size,
            ori_shape=size,
            pad_shape=size,
            batch_input_shape=size,
            scale_factor=(1.0, 1.0),
        )
    )


def _two_stage_heads(
    detector: nn.Module, x: Maps, rois: list[RoIs], training: bool
) -> None:
    """Run RPN and RoI heads.

    Not ``mode='tensor'``: that selects proposals, which needs numbers, and
    gives every proposal of a cascade to its mask heads.
    """
    if detector.with_rpn:
        detector.rpn_head(x)
    head = detector.roi_head
    with _pooled_without_data(head):
        if isinstance(head, HybridTaskCascadeRoIHead):
            _hybrid_heads(head, x, rois, training)
        elif isinstance(head, CascadeRoIHead):
            for i, stage in enumerate(rois):
                head._bbox_forward(i, x, _boxes(x, stage.boxes))
                if head.with_mask:
                    head._mask_forward(i, x, _boxes(x, stage.masks))
        else:
            head._bbox_forward(x, _boxes(x, rois[0].boxes))
            if head.with_mask:
                head._mask_forward(x, _boxes(x, rois[0].masks))


def _hybrid_heads(
    head: HybridTaskCascadeRoIHead, x: Maps, rois: list[RoIs], training: bool
) -> None:
    semantic = head.semantic_head(x)[1] if head.with_semantic else None
    for i, stage in enumerate(rois):
        head._bbox_forward(i, x, _boxes(x, stage.boxes), semantic)
    if not head.with_mask:
        return
    # In inference one call runs the mask heads of all stages; in training
    # each stage runs those before it again, for the information flow.
    for i in range(len(rois)) if training else [-1]:
        head._mask_forward(
            i, x, _boxes(x, rois[i].masks), semantic, training=training
        )


def _boxes(x: Maps, count: int) -> Tensor:
    """Give boxes without numbers: (count, 5), image index and xyxy."""
    return x[0].new_empty(count, 5)


@contextmanager
def _pooled_without_data(roi_head: nn.Module) -> Iterator[None]:
    """Let RoI extractors give maps of the right shape.

    Which level a RoI is pooled from depends on its size, a number that is
    not there.  Pooling multiplies no weights.
    """
    extractors = [
        module
        for module in roi_head.modules()
        if isinstance(module, SingleRoIExtractor)
    ]
    for extractor in extractors:
        extractor.forward = partial(_pooled, extractor)
    try:
        yield
    finally:
        for extractor in extractors:
            del extractor.forward


def _pooled(
    extractor: SingleRoIExtractor,
    feats: Maps,
    rois: Tensor,
    roi_scale_factor: float | None = None,
) -> Tensor:
    size = extractor.roi_layers[0].output_size
    return feats[0].new_empty(len(rois), extractor.out_channels, *size)
