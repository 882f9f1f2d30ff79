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
from .parts import find_parts
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
    """The count of a detector in progress."""

    def __init__(self, detector: BaseDetector, shape: tuple[int, int]) -> None:
        # Before the move to the meta device, which unties shared parameters;
        # named_parameters() gives those to the first module that has them.
        parameters = dict(detector.named_parameters())
        self.detector = detector.to('meta').eval()
        self.two_stage = isinstance(detector, TwoStageDetector)
        self.image = torch.empty(1, 3, *shape, device='meta')
        self.names = find_parts(detector, self.image)
        self.parts = {part: Part() for part in self.names.values()}
        self.found = Complexity(tuple(shape))
        for name, parameter in parameters.items():
            module = detector.get_submodule(name.rpartition('.')[0])
            part = self.parts[self.names[module]]
            part.parameters += parameter.numel()
            part.trainable += parameter.numel() * parameter.requires_grad

    def inference(self) -> None:
        """Count one inference pass."""
        found = self.found
        with self._attempt() as reading:
            found.inference_rois = run_inference(self.detector, self.image)
        self._book('macs', reading.macs)
        self._book('published', reading.published)
        found.kinds = dict(reading.kinds)
        idle = [name for name in self.parts if name not in reading.macs]
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
        if found.uncounted:
            return
        self._book('training', reading.macs)
        backbone = {self.names[m] for m in detector.backbone.modules()}
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
            with metered(self.detector, self.names) as reading:
                yield reading
        # Heads of any author may raise anything without numbers.
        except Exception as error:
            self.found.uncounted[reading.failed_in] = one_line(error, 200)

    def _book(self, column: str, counts: Counter[str]) -> None:
        """Write the counts of the parts into a column."""
        for name, number in counts.items():
            setattr(self.parts[name], column, number)
