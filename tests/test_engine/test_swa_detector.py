"""SWA of a detector: validation sees the average.

The file is one of the plain config, with the same predictions and AP.
"""

import copy

import torch
from mmdet.evaluation import CocoMetric
from mmdet.registry import METRICS
from mmengine.runner import Runner

from cbnet.engine import SafeCheckpointHook, add_guards
from cbnet.engine.swa import SWAHook
from cbnet.testing import build_model, tiny_composite, tiny_detector

from .small_run import equal, numbers
from .swa_runs import SCHEDULE, Recorder, mean, read, swa_config


class Kept(CocoMetric):
    """COCO's figures; scores and boxes of the last evaluation stay."""

    predictions = None

    def compute_metrics(self, results):
        type(self).predictions = [
            torch.cat(
                [
                    torch.as_tensor(prediction['scores'])[:, None],
                    torch.as_tensor(prediction['bboxes']),
                ],
                dim=1,
            )
            for _, prediction in results
        ]
        return super().compute_metrics(results)


def detector_config(tiny_coco, folder):
    """A tiny composite RetinaNet, without SWA."""
    model = tiny_detector('RetinaNet', tiny_composite(), num_classes=2)
    model['bbox_head'].update(stacked_convs=1)
    model['test_cfg'].update(score_thr=0.0)
    load = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='Resize', scale=(96, 64), keep_ratio=True),
    ]
    dataset = dict(
        type='CocoDataset',
        data_root=str(tiny_coco.root),
        metainfo=dict(classes=tiny_coco.classes),
    )
    loader = dict(num_workers=0, sampler=dict(type='DefaultSampler'))
    val_loader = dict(
        loader,
        batch_size=1,
        dataset=dict(
            dataset,
            ann_file='val.json',
            data_prefix=dict(img='val/'),
            test_mode=True,
            pipeline=[*load, dict(type='PackDetInputs')],
        ),
    )
    evaluator = dict(
        type='Kept', ann_file=str(tiny_coco.root / 'val.json'), metric='bbox'
    )
    train_loader = dict(
        loader,
        batch_size=2,
        dataset=dict(
            dataset,
            ann_file='train.json',
            data_prefix=dict(img='train/'),
            pipeline=[*load, dict(type='PackDetInputs')],
        ),
    )
    return swa_config(
        folder, 3,
        model=model,
        train_dataloader=train_loader,
        val_dataloader=val_loader,
        val_cfg=dict(type='ValLoop'),
        val_evaluator=evaluator,
        test_dataloader=val_loader,
        test_cfg=dict(type='TestLoop'),
        test_evaluator=evaluator,
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        custom_hooks=[],
    )  # fmt: skip


def test_a_detector(tmp_path, tiny_coco, monkeypatch):
    monkeypatch.setitem(METRICS.module_dict, 'Kept', Kept)
    plain = detector_config(tiny_coco, tmp_path / 'plain')
    trained = build_model(plain.model)
    trained.init_weights()
    torch.save(dict(state_dict=trained.state_dict()), tmp_path / 'base.pth')

    swa = copy.deepcopy(plain)
    swa.merge_from_dict(
        dict(
            work_dir=str(tmp_path / 'swa'),
            custom_hooks=SCHEDULE.swa_hooks,
            load_from=str(tmp_path / 'base.pth'),
            experiment_name='swa_detector',
        )
    )
    add_guards(swa)
    runner, recorder = Runner.from_cfg(swa), Recorder()
    runner.register_hook(recorder)
    runner.train()
    types = {type(hook) for hook in runner.hooks}
    assert {SWAHook, SafeCheckpointHook} <= types
    seen = Kept.predictions
    ap = runner.message_hub.get_scalar('val/coco/bbox_mAP').current()
    expect_mean_weights(tmp_path, recorder)
    # The trained weights are back in place after validation.
    assert equal(dict(runner.model.state_dict()), dict(recorder.ends[-1]))

    def evaluate(cfg, weights):
        cfg = copy.deepcopy(cfg)
        cfg.experiment_name = f'evaluation{next(numbers)}'
        cfg.load_from = str(weights)
        add_guards(cfg, training=False)  # every weight must be there
        return Runner.from_cfg(cfg).test(), Kept.predictions

    averaged = tmp_path / 'swa' / 'epoch_3.pth'
    build_model(plain.model).load_state_dict(read(averaged)['state_dict'])
    metrics, predictions = evaluate(plain, averaged)
    assert len(seen) == 2 and all(len(one) for one in seen)
    assert equal(dict(enumerate(predictions)), dict(enumerate(seen)))
    assert metrics['coco/bbox_mAP'] == ap
    # With the SWA config too: the weights are not swapped for others.
    _, predictions = evaluate(swa, averaged)
    assert equal(dict(enumerate(predictions)), dict(enumerate(seen)))
    torch.save(dict(state_dict=recorder.ends[-1]), tmp_path / 'last.pth')
    _, predictions = evaluate(plain, tmp_path / 'last.pth')
    assert not equal(dict(enumerate(predictions)), dict(enumerate(seen)))


def expect_mean_weights(folder, recorder):
    saved = read(folder / 'swa' / 'epoch_3.pth')['state_dict']
    for name, value in mean(recorder.ends).items():
        found = saved[name].double()
        torch.testing.assert_close(found, value, rtol=1e-6, atol=1e-7)
    assert set(saved) == set(recorder.ends[0])
