"""Count the parameters and multiply-accumulates of a detector's parts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from mmdet.models.detectors import TwoStageDetector
from mmdet.models.detectors.base import BaseDetector
from mmengine.config import Config

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
    count = _Count(detector, shape)
    count.inference()
    if not count.found.uncounted:
        count.training()
    return count.result()


class _Count:
    """Count a detector, and book each module to its part."""

    def __init__(self, detector: BaseDetector, shape: tuple[int, int]) -> None:
        # Before the move to the meta device, which unties shared parameters;
        # named_parameters() gives those to the first module that has them.
        parameters: Counter[str] = Counter()
        trainable: Counter[str] = Counter()
        for name, parameter in detector.named_parameters():
            module = name.rpartition('.')[0]
            parameters[module] += parameter.numel()
            trainable[module] += parameter.numel() * parameter.requires_grad
        self.detector = detector.to('meta').eval()
        self.two_stage = isinstance(detector, TwoStageDetector)
        self.image = torch.empty(1, 3, *shape, device='meta')
        self.names = name_parts(detector, self.image)
        self.parts = {part: Part() for part in self.names.values()}
        self.found = Complexity(tuple(shape))
        self._book('parameters', parameters)
        self._book('trainable', trainable)

    def inference(self) -> None:
        """Count one inference pass."""
        found = self.found
        with self._attempt() as reading:
            found.inference_rois = run_inference(self.detector, self.image)
        self._book('macs', reading.macs)
        self._book('published', reading.published)
        found.kinds = dict(reading.kinds)
        ran = {self.names[name] for name in reading.macs}
        idle = [name for name in self.parts if name not in ran]
        if self.two_stage and not found.uncounted:
            # A detector with further heads runs them in a way of its own;
            # without this they would count as free.
            for name in idle:
                if self.parts[name].parameters:
                    reason = 'only RPN, box and mask heads are run'
                    found.uncounted[name] = reason
        if found.uncounted:
            for name in {*idle, *found.uncounted}:
                self.parts[name].macs = self.parts[name].published = None

    def training(self) -> None:
        """Count the forward pass of training.

        The backbone runs once; the neck and heads run once for each member
        with losses, on the RoIs of training, or as in inference where the
        detector has no RoI heads.
        """
        found, detector = self.found, self.detector
        assisted = isinstance(detector, AssistantSupervision)
        if assisted:
            found.assistants = sum(map(bool, detector.assistant_weights))
        with self._attempt() as reading:
            if assisted:
                pyramid = detector.backbone(self.image, all_members=True)[-1]
            else:
                pyramid = detector.backbone(self.image)
            if self.two_stage:
                found.training_rois = run_training_heads(detector, pyramid)
        self._book('training', reading.macs)
        backbone = {
            part
            for name, part in self.names.items()
            if name.partition('.')[0] == BACKBONE
        }
        for name, part in self.parts.items():
            if name in backbone:
                part.assistance = part.training - part.macs
            else:
                one = part.training if self.two_stage else part.macs
                part.assistance = one * found.assistants
                part.training = one + part.assistance

    def result(self) -> Complexity:
        """Give the cost of all parts that have any."""
        for name, part in self.parts.items():
            if self.found.uncounted:
                part.training = part.assistance = None
            if any(vars(part).values()):
                self.found.parts[name] = part
        return self.found

    @contextmanager
    def _attempt(self) -> Iterator[Reading]:
        """Meter the block; keep the part that failed, and why."""
        try:
            with metered(self.detector) as reading:
                yield reading
        # Heads of any author may raise anything without numbers.
        except Exception as error:
            part = self.names[reading.failed_in]
            self.found.uncounted[part] = one_line(error, 200)

    def _book(self, column: str, counts: Counter[str]) -> None:
        """Add counts by module to a column of the parts."""
        for name, number in counts.items():
            part = self.parts[self.names[name]]
            setattr(part, column, getattr(part, column) + number)
