"""Masks as run lengths straight from the mask head, for evaluations.

mmdet pastes each mask into an image of its own, and its metrics then encode
all these images.  Where only run lengths are asked for, each mask is encoded
right after it is pasted, from the surroundings of its box.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from mmdet.models.detectors import TwoStageDetector
from mmdet.registry import HOOKS
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from ..arguments import validated
from ..compat.mask_pasting import can_hand_over, hand_over
from ..evaluation.coco_metric import CheckedCocoMetric
from ..evaluation.dump import DumpRunLengths
from ..evaluation.run_lengths import encode_masks
from ..tta import MaskTTAModel
from ..tta.views import views_are_averaged
from ..type_names import type_name
from .guards import add_hook

# What takes a list of run lengths for masks; subclasses may not.
_TAKERS = (CheckedCocoMetric.process, DumpRunLengths.process)
_KNOWN = ('mmengine', 'mmdet', 'cbnet')


def pasting_heads(model: nn.Module) -> list[nn.Module]:
    """List the mask heads of a model whose masks nothing reads on the way.

    Args:
        model: a detector, or its test-time augmentation.

    Returns:
        The heads; empty for detectors that use the masks of their heads, such
        as those of panoptic segmentation, and for heads that paste nothing.
    """
    detector = model
    if isinstance(model, BaseTTAModel):
        detector = model.module
        averaged = isinstance(model, MaskTTAModel)
        if not averaged or not views_are_averaged(detector):
            return []
    predict = getattr(type(detector), 'predict', None)
    roi_head = getattr(detector, 'roi_head', None)
    if predict is not TwoStageDetector.predict or not _is_known(roi_head):
        return []
    return [part for part in roi_head.modules() if can_hand_over(part)]


@contextmanager
def run_length_masks(model: nn.Module, on: bool = True) -> Iterator[None]:
    """Let a model give lists of run lengths for masks in the block.

    Args:
        model: a detector, or its test-time augmentation; nothing changes for
            one without ``pasting_heads``.
        on: whether to do so.
    """
    heads = pasting_heads(model) if on else []
    ends = [hand_over(head, encode_masks) for head in heads]
    try:
        yield
    finally:
        for end in ends:
            end()


@HOOKS.register_module()
@validated
class RunLengthMasksHook(Hook):
    """Encode masks where they are pasted, in validations and tests.

    This happens where all metrics take run lengths (COCO's and the dump of
    ``--out``), and nothing draws detections or might look at masks. Figures
    and masks are those of mmdet, to the last bit.

    Args:
        enabled: whether to do so.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self._ends: list[Callable[[], None]] = []

    def before_val_epoch(self, runner: Runner) -> None:
        """Begin, if a validation allows it."""
        self._begin(runner, runner.val_evaluator, 'after_val_iter')

    def before_test_epoch(self, runner: Runner) -> None:
        """Begin, if a test allows it."""
        self._begin(runner, runner.test_evaluator, 'after_test_iter')

    def after_val_epoch(self, runner: Runner, *args: Any, **kw: Any) -> None:
        """End."""
        self._end()

    after_test_epoch = after_val_epoch

    def _begin(self, runner: Runner, evaluator: Evaluator, see: str) -> None:
        self._end()  # a validation may have failed
        if not self.enabled or not takes_run_lengths(evaluator.metrics):
            return
        if any(_looks_at_masks(hook, see) for hook in runner.hooks):
            return
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        heads = pasting_heads(model)
        self._ends = [hand_over(head, encode_masks) for head in heads]
        if heads:
            print_log('masks are encoded where they are pasted', 'current')

    def _end(self) -> None:
        while self._ends:
            self._ends.pop()()


def add_run_length_masks(cfg: Config, full_masks: bool = False) -> None:
    """Add the hook to a config, in place.

    Args:
        cfg: the config.
        full_masks: whether to switch the hook off, also one that the config
            has already.
    """
    add_hook(cfg, RunLengthMasksHook)
    name = RunLengthMasksHook.__name__
    for hook in cfg.custom_hooks if full_masks else ():
        if isinstance(hook, dict) and type_name(hook) == name:
            hook['enabled'] = False


def takes_run_lengths(metrics: Iterable[Any]) -> bool:
    """Tell whether metrics take lists of run lengths for masks."""
    return all(
        getattr(type(metric), 'process', None) in _TAKERS for metric in metrics
    )


def _looks_at_masks(hook: Hook, see: str) -> bool:
    """Tell whether a hook draws, or is unknown and is given detections."""
    if getattr(hook, 'draw', False):
        return True
    given = any(
        getattr(type(hook), name) is not getattr(Hook, name)
        for name in (see, '_after_iter')
    )
    return given and not _is_known(hook)


def _is_known(owner: Any) -> bool:
    return type(owner).__module__.partition('.')[0] in _KNOWN
