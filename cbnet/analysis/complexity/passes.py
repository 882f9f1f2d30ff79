"""Run a detector, or its heads as in training, on shapes without data.

mmdet's public entry points select proposals and detections, for which the
meta device lacks the numbers, and ``mode='tensor'`` passes every proposal of
a cascade to its mask heads. The RoI heads are therefore run by their own
``_bbox_forward`` and ``_mask_forward``. These methods are private, but only
one version of mmdet is supported, and ``test_complexity_real_run.py``
compares the counts with real runs.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from mmdet.models.detectors import TwoStageDetector
from mmdet.models.roi_heads import CascadeRoIHead, HybridTaskCascadeRoIHead
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.structures import DetDataSample
from torch import Tensor, nn

Maps = tuple[Tensor, ...]


@dataclass(frozen=True)
class RoIs:
    """The numbers of RoIs of one image that a stage's two heads see."""

    boxes: int
    masks: int


def run_inference(detector: nn.Module, image: Tensor) -> list[RoIs]:
    """Run inference on an image (1, 3, H, W), without selecting detections.

    The box heads of all stages see as many RoIs as the config keeps
    proposals (``test_cfg.rpn.max_per_img``), and the mask heads as many as
    it keeps detections (``test_cfg.rcnn.max_per_img``). Return the RoIs of
    each stage, or an empty list without RoI heads.
    """
    if not isinstance(detector, TwoStageDetector):
        detector(image, [_sample(image)], mode='tensor')
        return []
    cfg = detector.test_cfg
    proposals = (cfg.get('rpn') or {}).get('max_per_img', 1000)
    kept = RoIs(proposals, cfg.rcnn.get('max_per_img', 100))
    rois = [kept] * getattr(detector.roi_head, 'num_stages', 1)
    _two_stage_heads(detector, detector.extract_feat(image), rois, False)
    return rois


def run_training_heads(detector: nn.Module, pyramid: Maps) -> list[RoIs]:
    """Run the neck and heads of a two-stage detector as in one loss pass.

    The box heads see as many RoIs as their sampler draws, and the mask heads
    see its largest number of positive ones. Return the RoIs of each stage.
    """
    x = detector.neck(pyramid) if detector.with_neck else pyramid
    stages = detector.roi_head.train_cfg  # a list in cascades
    rois = []
    for stage in stages if isinstance(stages, list | tuple) else [stages]:
        sampled = stage['sampler']['num']
        positive = int(sampled * stage['sampler']['pos_fraction'])
        rois.append(RoIs(sampled, positive))
    _two_stage_heads(detector, x, rois, True)
    return rois


def _sample(image: Tensor) -> DetDataSample:
    keys = ('img_shape', 'ori_shape', 'pad_shape', 'batch_input_shape')
    size = tuple(image.shape[-2:])
    metainfo = dict.fromkeys(keys, size) | dict(scale_factor=(1.0, 1.0))
    return DetDataSample(metainfo=metainfo)


def _two_stage_heads(
    detector: nn.Module, x: Maps, rois: list[RoIs], training: bool
) -> None:
    """Run the RPN head and the RoI heads of all stages."""
    if detector.with_rpn:
        detector.rpn_head(x)
    head = detector.roi_head
    hybrid = isinstance(head, HybridTaskCascadeRoIHead)
    semantic = []  # a further argument of hybrid heads
    if hybrid:
        semantic = [head.semantic_head(x)[1] if head.with_semantic else None]
    with _pooled_without_data(head):
        for i, stage in enumerate(rois):
            index = [i] if isinstance(head, CascadeRoIHead) else []
            boxes = x[0].new_empty(stage.boxes, 5)  # image index and xyxy
            masks = x[0].new_empty(stage.masks, 5)
            head._bbox_forward(*index, x, boxes, *semantic)
            if head.with_mask and not hybrid:
                head._mask_forward(*index, x, masks)
            # In training each stage runs the mask heads of the earlier ones
            # again, for the information flow.
            elif head.with_mask and training:
                head._mask_forward(i, x, masks, *semantic, training=True)
        # In inference one call runs the mask heads of all stages.
        if head.with_mask and hybrid and not training:
            head._mask_forward(-1, x, masks, *semantic, training=False)


@contextmanager
def _pooled_without_data(roi_head: nn.Module) -> Iterator[None]:
    """Let the RoI extractors only return maps of the right shape.

    They pool each RoI from the level that suits its size, which is unknown.
    Pooling multiplies no weights, so the count misses nothing.
    """
    with ExitStack() as stack:
        for module in roi_head.modules():
            if isinstance(module, SingleRoIExtractor):
                module.forward = partial(_pooled, module)
                stack.callback(delattr, module, 'forward')
        yield


def _pooled(
    extractor: SingleRoIExtractor,
    feats: Maps,
    rois: Tensor,
    roi_scale_factor: float | None = None,
) -> Tensor:
    size = extractor.roi_layers[0].output_size
    return feats[0].new_empty(len(rois), extractor.out_channels, *size)
