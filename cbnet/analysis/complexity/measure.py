"""Parameters and multiply-accumulates of a detector, part by part."""

from collections import Counter
from collections.abc import Iterator, Sequence
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
from .parts import BACKBONE, name_parts
from .passes import run_inference, run_training_heads

SMALLEST = 32  # pixels; below, the deepest maps of most backbones vanish


def check_shape(shape: Sequence[int]) -> None:
    """Refuse a shape that is no (H, W), or too small.

    Raises:
        ValueError: with what is expected.
    """
    if len(shape) != 2 or min(shape) < SMALLEST:
        raise UserValueError(
            f'{" x ".join(map(str, shape))} is no image: expected height and '
            f'width of {SMALLEST} pixels or more'
        )


def measure(cfg: Config, shape: tuple[int, int]) -> Complexity:
    """Count parameters and multiply-accumulates of a config's detector.

    Nothing is computed: the model has shapes, no numbers.

    Args:
        cfg: a whole config; its data sets are not looked at.
        shape: (H, W) of the image in pixels, padding included.

    Raises:
        ValueError: for a shape that is too small, or a config without a
            detector that can be built.
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
    """Count for a detector; it is moved to the meta device for good.

    Args:
        detector: any of mmdet's.
        shape: (H, W) of the image in pixels.
    """
    weights = _count_parameters(detector)  # first: moving unties shared ones
    detector.to('meta').eval()
    image = torch.empty(1, 3, *shape, device='meta')
    names = name_parts(detector, image)
    found = Complexity(tuple(shape), {part: Part() for part in names.values()})
    _book(found, names, **weights)
    with _attempt(found, detector, names) as reading:
        found.inference_rois = run_inference(detector, image)
    _book(found, names, macs=reading.macs, published=reading.published)
    found.kinds = dict(reading.kinds)
    ran = {names[name] for name in reading.macs}
    if not found.uncounted and isinstance(detector, TwoStageDetector):
        _note_idle(found, ran)
    if not found.uncounted:
        _count_training(found, detector, names, image)
    else:
        for name, part in found.parts.items():
            if name in found.uncounted or name not in ran:
                part.macs = part.published = None
    if found.uncounted:
        for part in found.parts.values():
            part.training = part.assistance = None
    found.parts = {
        name: part
        for name, part in found.parts.items()
        if any(vars(part).values())
    }
    return found


def _count_parameters(detector: nn.Module) -> dict[str, Counter[str]]:
    """Count by module name; what two modules share belongs to the first."""
    parameters: Counter[str] = Counter()
    trainable: Counter[str] = Counter()
    for name, parameter in detector.named_parameters():
        module = name.rpartition('.')[0]
        parameters[module] += parameter.numel()
        trainable[module] += parameter.numel() * parameter.requires_grad
    return dict(parameters=parameters, trainable=trainable)


def _note_idle(found: Complexity, ran: set[str]) -> None:
    """Keep heads that did not run, which would count as free.

    Detectors with further heads run them in ways of their own.
    """
    for name, part in found.parts.items():
        if part.parameters and name not in ran:
            found.uncounted[name] = 'only RPN, box and mask heads are run'


def _count_training(
    found: Complexity,
    detector: BaseDetector,
    names: dict[str, str],
    image: Tensor,
) -> None:
    """Count the forward pass of training.

    The backbone runs once, neck and heads once for each member with
    losses: on the RoIs of training, in detectors without RoI heads as in
    inference.
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
    _book(found, names, training=reading.macs)
    backbone = {
        part for name, part in names.items() if name.split('.')[0] == BACKBONE
    }
    for name, part in found.parts.items():
        if name in backbone:
            part.assistance = part.training - part.macs
        else:
            one = part.training if two_stage else part.macs
            part.assistance = one * found.assistants
            part.training = one + part.assistance


@contextmanager
def _attempt(
    found: Complexity, detector: nn.Module, names: dict[str, str]
) -> Iterator[Reading]:
    """Meter the block; keep which part failed, and why."""
    try:
        with metered(detector) as reading:
            yield reading
    # Heads of any author, given shapes without numbers, fail in any way.
    except Exception as error:
        found.uncounted[names[reading.failed_in]] = one_line(error, 200)


def _book(
    found: Complexity, names: dict[str, str], **columns: Counter[str]
) -> None:
    """Add what was counted by module to the parts."""
    for column, counted in columns.items():
        for name, number in counted.items():
            part = found.parts[names[name]]
            setattr(part, column, getattr(part, column) + number)
