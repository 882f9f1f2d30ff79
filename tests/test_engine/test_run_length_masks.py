"""When evaluations encode masks where they are pasted, and when not.

They do for detectors whose results go straight to metrics that take run
lengths; not if a hook draws or is unknown and is given the detections, for
other metrics, detectors that use their masks, or if it is switched off.  It
ends with the evaluation, also with one that failed.
"""

from types import SimpleNamespace

import pytest
import torch
from mmdet.engine.hooks import DetVisualizationHook
from mmdet.evaluation import CocoMetric, LVISMetric
from mmengine.config import Config
from mmengine.hooks import Hook

from cbnet.engine.run_length_masks import (
    RunLengthMasksHook,
    add_run_length_masks,
    pasting_heads,
    run_length_masks,
)
from cbnet.evaluation.coco_metric import CheckedCocoMetric
from cbnet.evaluation.dump import DumpRunLengths
from cbnet.testing import (
    build_model,
    make_batch,
    tiny_composite,
    tiny_detector,
)
from cbnet.tta import MaskTTAModel

METHOD = '_predict_by_feat_single'


class Own(CheckedCocoMetric):
    """A metric that does something else with the masks."""

    def process(self, data_batch, data_samples):
        pass


class Looking(Hook):
    def after_test_iter(self, runner, *args, **options):
        pass


class LookingAtAll(Hook):
    def _after_iter(self, runner, *args, **options):
        pass


class Idle(Hook):
    def before_test_iter(self, runner, *args, **options):
        pass


@pytest.fixture(scope='module')
def detector():
    return build_model(tiny_detector('MaskRCNN', tiny_composite())).eval()


def make(kind):
    return kind.__new__(kind)


def runner_of(model, metrics=(CheckedCocoMetric,), hooks=()):
    evaluator = SimpleNamespace(metrics=[make(kind) for kind in metrics])
    return SimpleNamespace(
        model=model,
        hooks=[RunLengthMasksHook(), *hooks],
        val_evaluator=evaluator,
        test_evaluator=evaluator,
    )


def is_on(model):
    return any(METHOD in vars(part) for part in model.modules())


def begins(runner, hook=None):
    hook = hook or RunLengthMasksHook()
    hook.before_test_epoch(runner)
    on = is_on(runner.model)
    hook.after_test_epoch(runner, metrics={})
    assert not is_on(runner.model)
    return on


def drawing(draw):
    hook = make(DetVisualizationHook)
    hook.draw = draw
    return hook


def test_where_run_lengths_are_enough(detector):
    both = CheckedCocoMetric, DumpRunLengths
    assert begins(runner_of(detector))
    assert begins(runner_of(detector, both, [drawing(False), Idle()]))
    wrapped = MaskTTAModel(module=detector)
    assert begins(runner_of(wrapped))


def test_where_masks_are_needed(detector):
    assert not begins(runner_of(detector), RunLengthMasksHook(enabled=False))
    for metric in (CocoMetric, LVISMetric, Own):
        found = runner_of(detector, (CheckedCocoMetric, metric))
        assert not begins(found)
    for hook in (drawing(True), Looking(), LookingAtAll()):
        assert not begins(runner_of(detector, hooks=[hook]))


def test_validations(detector):
    hook, runner = RunLengthMasksHook(), runner_of(detector)
    for _ in range(2):  # the first one fails and does not end
        hook.before_val_epoch(runner)
        assert is_on(detector)
    hook.after_val_epoch(runner, metrics={})
    assert not is_on(detector)


def test_the_switch():
    cfg = Config(dict(custom_hooks=[dict(type='EMAHook')]))
    for full, kept in ((False, {}), (True, dict(enabled=False))):
        # As in the config that a training run leaves, which has the hook.
        add_run_length_masks(cfg, full)
        assert cfg.custom_hooks == [
            dict(type='EMAHook'),
            dict(type='RunLengthMasksHook', **kept),
        ]


def test_detectors_that_use_their_masks(detector, monkeypatch):
    assert len(pasting_heads(detector)) == 1
    monkeypatch.setattr(type(detector), 'predict', lambda *args: None)
    assert pasting_heads(detector) == []


def test_heads_that_others_wrote(detector, monkeypatch):
    monkeypatch.setattr(type(detector.roi_head), '__module__', 'others.heads')
    assert pasting_heads(detector) == []


def test_detectors_without_pasting():
    found = build_model(tiny_detector('RetinaNet', tiny_composite()))
    assert pasting_heads(found) == []
    with run_length_masks(found):
        pass


def test_the_block(detector):
    batch = make_batch((2,), (64, 64))
    with torch.no_grad():
        for on, kind in ((True, list), (False, torch.Tensor)):
            with run_length_masks(detector, on):
                (sample,) = detector.test_step(batch)
            masks = sample.pred_instances.masks
            assert len(masks) and isinstance(masks, kind)
        assert not is_on(detector)
