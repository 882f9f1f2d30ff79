"""Count the parameters and multiply-accumulates of a detector's parts."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from mmdet.models.detectors import TwoStageDetector
from mmdet.models.detectors.base import BaseDetector
from mmengine.config import Config
from torch import Tensor, nn

from ...errors import UserValueError
from ...messages import one_line
from ...models.building import build_without_weights
from ...models.detectors import AssistantSupervision
from .figures import Complexity, Part
from .meter import Reading, metered
from .parts import find_parts
from .passes import run_inference, run_training_heads

SMALLEST = 32  # pixels; below, the deepest maps of most backbones vanish
Names = Mapping[nn.Module, str]  # the part of each module


def check_shape(shape: Sequence[int]) -> None:
    """Refuse a shape that is not (H, W) or that is too small.

    Raises:
        ValueError: the shape is not that of an image.
    """
    if len(shape) != 2 or min(shape) < SMALLEST:
        raise UserValueError(
            f'{" x ".join(map(str, shape))} is not an image; expected a '
            f'height and a width of {SMALLEST} pixels or more'
        )


def measure(cfg: Config, shape: tuple[int, int]) -> Complexity:
    """Count the parameters and multiply-accumulates of a config's detector.

    The model is built on the meta device: its tensors have shapes but no
    numbers, and nothing is computed.

    Args:
        cfg: the whole config; its data sets are not read.
        shape: the (H, W) of the image in pixels, padding included.

    Raises:
        ValueError: the shape is too small, or the config has no detector
            that can be built.
    """
    check_shape(shape)
    if not cfg.get('model'):
        raise UserValueError('the config has no model')
    detector = build_without_weights(cfg)
    if not isinstance(detector, BaseDetector):
        raise UserValueError(
            f'model.type={cfg.model.get("type")!r} is a '
            f'{type(detector).__name__}, not a detector'
        )
    return measure_detector(detector, shape)


def measure_detector(
    detector: BaseDetector, shape: tuple[int, int]
) -> Complexity:
    """Count for a detector, which stays on the meta device afterwards.

    Args:
        detector: any detector of mmdet.
        shape: the (H, W) of the image in pixels.
    """
    # Before the move to the meta device, which unties shared parameters;
    # named_parameters() gives those to the first module that has them.
    parameters = dict(detector.named_parameters())
    detector.to('meta').eval()
    image = torch.empty(1, 3, *shape, device='meta')
    names = find_parts(detector, image)
    parts = {part: Part() for part in names.values()}
    for name, parameter in parameters.items():
        module = detector.get_submodule(name.rpartition('.')[0])
        part = parts[names[module]]
        part.parameters += parameter.numel()
        part.trainable += parameter.numel() * parameter.requires_grad
    found = Complexity(tuple(shape), parts)
    _count_inference(found, detector, names, image)
    if not found.uncounted:
        _count_training(found, detector, names, image)
    if found.uncounted:
        for part in parts.values():
            part.training = part.assistance = None
    found.parts = {n: p for n, p in parts.items() if any(vars(p).values())}
    return found


def _count_inference(
    found: Complexity, detector: BaseDetector, names: Names, image: Tensor
) -> None:
    with _attempt(found, detector, names) as reading:
        found.inference_rois = run_inference(detector, image)
    found.kinds = dict(reading.kinds)
    for name, part in found.parts.items():
        part.macs, part.published = reading.macs[name], reading.published[name]
    idle = [name for name in found.parts if name not in reading.macs]
    if isinstance(detector, TwoStageDetector) and not found.uncounted:
        # A detector with further heads runs them in a way of its own;
        # without this they would count as free.
        for name in idle:
            if found.parts[name].parameters:
                reason = 'only RPN, box and mask heads are run'
                found.uncounted[name] = reason
    if found.uncounted:
        for name in {*idle, *found.uncounted}:
            found.parts[name].macs = found.parts[name].published = None


def _count_training(
    found: Complexity, detector: BaseDetector, names: Names, image: Tensor
) -> None:
    """Count the forward pass of training.

    The backbone runs once. The neck and heads run once for each member with
    losses, on the RoIs of training, or as in inference where the detector
    has no RoI heads.
    """
    assisted = isinstance(detector, AssistantSupervision)
    two_stage = isinstance(detector, TwoStageDetector)
    if assisted:
        found.assistants = sum(map(bool, detector.assistant_weights))
    with _attempt(found, detector, names) as reading:
        if assisted:
            pyramid = detector.backbone(image, all_members=True)[-1]
        else:
            pyramid = detector.backbone(image)
        if two_stage:
            found.training_rois = run_training_heads(detector, pyramid)
    if found.uncounted:
        return
    backbone = {names[module] for module in detector.backbone.modules()}
    for name, part in found.parts.items():
        if name in backbone:
            part.training = reading.macs[name]
            part.assistance = part.training - part.macs
        else:
            once = reading.macs[name] if two_stage else part.macs
            part.assistance = once * found.assistants
            part.training = once + part.assistance


@contextmanager
def _attempt(
    found: Complexity, detector: BaseDetector, names: Names
) -> Iterator[Reading]:
    """Meter the block; keep the part that failed, and why."""
    try:
        with metered(detector, names) as reading:
            yield reading
    except Exception as error:  # heads may raise anything without numbers
        found.uncounted[reading.failed_in] = one_line(error, 200)
