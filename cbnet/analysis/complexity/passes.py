"""Run a detector, or its heads as in training, on shapes without data.

mmdet's public entry points select proposals and detections, which needs
numbers that are not there on the meta device, and ``mode='tensor'`` passes
every proposal of a cascade to its mask heads. The RoI heads are therefore
run by their own ``_bbox_forward`` and ``_mask_forward``: private methods,
but of the one mmdet version that is supported, and
``test_complexity_real_run.py`` compares the counts with real runs.
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
    """The number of RoIs of one image in a stage of the heads.

    Attributes:
        boxes: the number of RoIs of the box head.
        masks: the number of RoIs of the mask head.
    """

    boxes: int
    masks: int


def run_inference(detector: nn.Module, image: Tensor) -> list[RoIs]:
    """Run inference up to the selection of detections.

    The box heads of all stages see as many RoIs as the config keeps
    proposals (``test_cfg.rpn.max_per_img``), and the mask heads as many as
    it keeps detections (``test_cfg.rcnn.max_per_img``).

    Args:
        detector: the detector, on the meta device and in eval mode.
        image: the input (1, 3, H, W), on the meta device.

    Returns:
        The RoIs of each stage; empty without RoI heads.
    """
    if not isinstance(detector, TwoStageDetector):
        detector(image, [_sample(image)], mode='tensor')
        return []
    cfg = detector.test_cfg
    proposals = (cfg.get('rpn') or {}).get('max_per_img', 1000)
    kept = RoIs(proposals, cfg.rcnn.get('max_per_img', 100))
    rois = [kept] * _num_stages(detector.roi_head)
    _two_stage_heads(detector, detector.extract_feat(image), rois, False)
    return rois


def run_training_heads(detector: nn.Module, pyramid: Maps) -> list[RoIs]:
    """Run the neck and heads of a two-stage detector as in one loss pass.

    The box heads see as many RoIs as their sampler draws, and the mask heads
    as many as it takes positive ones at most.

    Args:
        detector: the detector, on the meta device.
        pyramid: the pyramid of one member.

    Returns:
        The RoIs of each stage.
    """
    x = detector.neck(pyramid) if detector.with_neck else pyramid
    stages = detector.roi_head.train_cfg
    if not isinstance(stages, list | tuple):
        stages = [stages] * _num_stages(detector.roi_head)
    rois = [
        RoIs(sampler['num'], int(sampler['num'] * sampler['pos_fraction']))
        for sampler in (stage['sampler'] for stage in stages)
    ]
    _two_stage_heads(detector, x, rois, True)
    return rois


def _num_stages(roi_head: nn.Module) -> int:
    return getattr(roi_head, 'num_stages', 1)


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
            boxes, masks = _boxes(x, stage.boxes), _boxes(x, stage.masks)
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


def _boxes(x: Maps, count: int) -> Tensor:
    """Make boxes without numbers: (count, 5), image index and xyxy."""
    return x[0].new_empty(count, 5)


@contextmanager
def _pooled_without_data(roi_head: nn.Module) -> Iterator[None]:
    """Let the RoI extractors only return maps of the right shape.

    They pool each RoI from the level that suits its size, which is unknown.
    Pooling multiplies no weights, so that nothing is missed.
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
