"""Training of composites of ViTs, as configs/extensions/dual_eva02_*.py say.

1. each branch has the proposals of its own maps, in all three cascade stages;
2. layers are counted as published: 0.8 to the power of the blocks above;
3. the recipe is the published one;
4. two steps of training with everything that the config switches on.
"""

from functools import partial

import pytest
import torch
from mmengine.config import Config

from cbnet.testing import build_model, make_batch

from .composite_vits import CONFIGS, CUTS, optimizer_of, tiny_vit_detector


def test_each_branch_has_its_own_proposals():
    torch.manual_seed(0)
    model = build_model(tiny_vit_detector('dual_eva02_b')).train()
    for p in model.backbone.connections.parameters():
        p.data.normal_(std=0.3)
    batch = model.data_preprocessor(make_batch(), training=True)
    proposed, used = [], []

    def record_proposals(module, original, x, samples, **options):
        losses, found = original(x, samples, **options)
        proposed.append((x[0], [p.bboxes.clone() for p in found]))
        return losses, found

    def record_use(original, x, results, samples):
        used.append((x[0], [p.bboxes.clone() for p in results]))
        return original(x, results, samples)

    head, roi = model.rpn_head, model.roi_head
    head.loss_and_predict = partial(
        record_proposals, head, head.loss_and_predict
    )
    roi.loss = partial(record_use, roi.loss)
    losses = model.loss(batch['inputs'], batch['data_samples'])
    for branch in ('', 'assist0.'):
        assert {f'{branch}s{k}.loss_mask' for k in range(3)} <= set(losses)
    assert len(proposed) == len(used) == 2
    for (maps, boxes), (used_maps, used_boxes) in zip(
        proposed, used, strict=True
    ):
        assert torch.equal(maps, used_maps)
        assert all(map(torch.equal, boxes, used_boxes))
    (lead, lead_boxes), (assist, assist_boxes) = proposed
    assert not torch.equal(lead, assist)
    assert not all(
        a.shape == b.shape and torch.equal(a, b)
        for a, b in zip(lead_boxes, assist_boxes, strict=True)
    )


@pytest.mark.parametrize('name', CUTS)
def test_layers_are_counted_as_published(name):
    cut = CUTS[name]
    model = build_model(tiny_vit_detector(name, depth=cut[-1] + 1, groups=cut))
    names = {id(p): name for name, p in model.named_parameters()}
    blocks = len(model.backbone.members[0].model.blocks)
    rest = set(names.values())
    for group in optimizer_of(model, name).optimizer.param_groups:
        for p in group['params']:
            rest.remove(names[id(p)])
            parts = names[id(p)].split('.')
            factor = 1
            if parts[1] == 'members':
                stem = parts[4] != 'blocks'
                factor = 0.8 ** (
                    blocks + 1 if stem else blocks - int(parts[5])
                )
            assert group['lr'] == pytest.approx(4e-5 * factor)
    assert not rest


@pytest.mark.parametrize('name', CUTS)
def test_the_published_recipe(name):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    assert cfg.model.assistance == dict(weights=[0.5], proposals='own')
    assert cfg.model.backbone.member.drop_path_rate == 0.3
    assert cfg.model.backbone.member.patch_size == 16
    assert cfg.train_cfg.max_iters == 40000
    assert cfg.auto_scale_lr.base_batch_size == 64
    (warm_up,) = cfg.param_scheduler
    assert (warm_up.type, warm_up.end) == ('LinearLR', 400)
    assert (
        cfg.optim_wrapper.optimizer.type,
        cfg.optim_wrapper.optimizer.lr,
    ) == (
        'AdamW',
        4e-5,
    )
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert steps['RandomResize'].scale == (1536, 1536)
    assert steps['RandomResize'].ratio_range == (0.1, 2.0)
    assert steps['RandomCrop'].crop_size == (1536, 1536)
    tested = {step.type: step for step in cfg.test_dataloader.dataset.pipeline}
    assert tested['Resize'].scale == (1536, 1536)
    (average,) = cfg.custom_hooks
    assert (average.type, average.momentum) == ('EMAHook', 1e-4)
    rcnn = cfg.model.test_cfg.rcnn
    assert (rcnn.score_thr, rcnn.nms) == (
        0,
        dict(type='soft_nms', iou_threshold=0.5),
    )


def test_two_steps_of_training():
    torch.manual_seed(0)
    model = build_model(tiny_vit_detector('dual_eva02_b'))
    assert all(adapter.with_cp for adapter in model.backbone.adapters)
    drops = [
        block.drop_path1.drop_prob
        for block in model.backbone.members[1].model.blocks[1:]
    ]
    assert drops == pytest.approx([0.1, 0.2, 0.3])
    model.init_weights()
    model.train()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    wrapper = optimizer_of(model, 'dual_eva02_b')
    for seed in range(2):
        batch = make_batch((4, 4), size=(96, 96), seed=seed)
        batch = model.data_preprocessor(batch, training=True)
        losses = model.loss(batch['inputs'], batch['data_samples'])
        loss, _ = model.parse_losses(losses)
        assert loss.isfinite()
        wrapper.update_params(loss)
    still = [
        n for n, p in model.named_parameters() if torch.equal(p, before[n])
    ]
    assert not still
