"""What is compared: a detector or its backbone, as some settings say."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from ...arguments import explained
from ...engine.verification import build_detector
from ...models.folded_norms import fold_norms
from ..complexity import measure
from ..complexity.latency import noise, time_detection
from ..complexity.step import time_step
from ..complexity.timing import timed
from .parts import PartClock, timed_parts

DTYPES = {'fp32': None, 'bf16': torch.bfloat16, 'fp16': torch.float16}
# The parts of a backbone, as `find_parts` names them.
_BACKBONE = ('backbone', 'stem', 'member', 'connection')


@dataclass(frozen=True)
class Setting:
    """How all candidates are run.

    Attributes:
        shape: the (H, W) of the images in pixels.
        batch: the number of images at a time.
        device: the device.
        dtype: a key of ``DTYPES``; others than fp32 are mixed precision.
        train: whether a pass is a training step.
        only: ``detector``, or ``backbone`` for that alone.
        clock: what a second is, a key of ``CLOCKS``.
        compiled: whether backbones and necks are compiled.
        batch_of: makes a batch to train on, of (H, W) and a number.
    """

    shape: tuple[int, int] = (320, 480)
    batch: int = 1
    device: str = 'cpu'
    dtype: str = 'fp32'
    train: bool = False
    only: str = 'detector'
    clock: str = 'wall'
    compiled: bool = False
    batch_of: Callable[[tuple[int, int], int], dict] | None = None


@dataclass
class Candidate:
    """A detector that is built and can be run.

    Attributes:
        name: its name.
        detector: the detector, on its device.
        setting: how it is run.
        parameters: the number of its parameters, or those of its backbone.
        macs: the multiply-accumulates of inference on one image; None if
            they cannot be counted.
        data: a batch, as a data loader gives it.
        images: normalised images (B, 3, H, W), where no data are read.
    """

    name: str
    detector: nn.Module
    setting: Setting
    parameters: int
    macs: int | None
    data: dict[str, Any]
    images: Tensor

    def seconds(self) -> float:
        """Run one pass; return its seconds."""
        setting = self.setting
        device = torch.device(setting.device)
        with self._precision():
            if setting.only == 'backbone':
                return timed(self._backbone_pass, device, setting.clock)
            run = time_step if setting.train else time_detection
            return run(self.detector, self.data, setting.clock)

    def parts(self) -> dict[str, float]:
        """Run one pass; return the seconds of each part."""
        setting = self.setting
        clock = PartClock(torch.device(setting.device), setting.clock)
        rest = 'backward and the rest' if setting.train else 'the rest'
        with timed_parts(self.detector, clock), clock.run(rest):
            self.seconds()
        seconds = dict(clock.seconds)
        return seconds | {rest: seconds.pop(rest)}

    @torch.no_grad()
    def outputs(self) -> list[Tensor]:
        """Compute the maps of the backbone, or of the neck if it runs."""
        training = self.detector.training
        self.detector.eval()
        with self._precision():
            if self.setting.only == 'backbone':
                maps = self.detector.backbone(self.images)
            else:
                maps = self.detector.extract_feat(self.images)
        self.detector.train(training)
        return [one.float() for one in _tensors(maps)]

    def _backbone_pass(self) -> None:
        with torch.set_grad_enabled(self.setting.train):
            maps = self.detector.backbone(self.images)
            if self.setting.train:
                sum(one.float().mean() for one in _tensors(maps)).backward()
        if self.setting.train:
            self.detector.zero_grad(set_to_none=True)

    def _precision(self) -> AbstractContextManager:
        dtype = DTYPES[self.setting.dtype]
        if dtype is None:
            return nullcontext()
        return torch.autocast(self.setting.device.partition(':')[0], dtype)


def _tensors(maps: Any) -> list[Tensor]:
    if isinstance(maps, Tensor):
        return [maps]
    return [one for part in maps for one in _tensors(part)]


def make_candidate(
    name: str,
    cfg: Config,
    setting: Setting,
    known: Iterable[Mapping[str, Tensor]] = (),
) -> Candidate:
    """Build a candidate.

    Args:
        name: its name, for errors.
        cfg: its config; ``compile=True`` in it compiles its backbone and
            its neck, ``channels_last=True`` lays out its maps so, and
            ``fast=True`` also folds its norms if it does not train.
        setting: how it is run.
        known: the weights of other candidates; those that fit are loaded.

    Raises:
        ValueError: the config does not build.
    """
    with explained(f'{name} cannot be built'):
        parameters, macs = _count(cfg, setting)
        torch.manual_seed(0)
        detector = build_detector(cfg, {})
    own = _shapes(detector.state_dict())
    same = next((one for one in known if _shapes(one) == own), None)
    if same is not None:
        detector.load_state_dict(same)
    detector.to(setting.device).train(setting.train)
    if cfg.get('channels_last') or cfg.get('fast'):
        detector.to(memory_format=torch.channels_last)
    if cfg.get('fast') and not setting.train:
        fold_norms(detector)
    if setting.compiled or cfg.get('compile'):
        for part in ('backbone', 'neck'):
            if module := getattr(detector, part, None):
                module.compile()
    if setting.train and setting.only == 'detector':
        batch = setting.batch_of(setting.shape, setting.batch)
    else:
        batch = noise(setting.shape, setting.batch)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(setting.batch, 3, *setting.shape, generator=generator)
    images = images.to(setting.device)
    return Candidate(name, detector, setting, parameters, macs, batch, images)


def _count(cfg: Config, setting: Setting) -> tuple[int, int | None]:
    found = measure(deepcopy(cfg), setting.shape)
    parts = [
        part
        for name, part in found.parts.items()
        if setting.only == 'detector' or name.startswith(_BACKBONE)
    ]
    macs = [part.macs for part in parts]
    total = None if None in macs else sum(macs)
    return sum(part.parameters for part in parts), total


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in weights.items()}
