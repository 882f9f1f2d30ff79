"""The configs of entries.

1. Detectors of every kind train and detect with the maps of a pyramid network
   and of a plain ViT, and each protocol has an optimizer for them. Anchors,
   RoIs and padding follow the strides.
2. Entries differ in nothing but the model, in either protocol.
3. The study's protocol has its rates, drops, crops and norms.
4. Sizes of images are scaled wherever they stand.
5. Members with random weights learn at the full rate.
6. An entry may change its config; what does not build names the keys.
7. A lead without the maps that a detector needs is refused in one sentence.
"""

from dataclasses import replace

import pytest
import torch
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

from cbnet.battle.configs import PROTOCOLS, Settings, entry_config
from cbnet.battle.entries import read_entry
from cbnet.battle.heads import HEADS, fitted_model
from cbnet.battle.members import build_backbone
from cbnet.errors import UserError
from cbnet.models.building import build_without_weights
from cbnet.models.members.base import StageSpec
from cbnet.studies.schedule import count_in_steps
from cbnet.testing import build_model, make_batch

LEADS = {
    'pyramid': 'random:test_resnet',
    'plain': 'random:test_vit',
    'composite': 'frozen:test_vit=x + random:test_resnet, style=slc',
}


@pytest.mark.parametrize(
    ('head', 'lead'),
    [
        ('mask-rcnn-small', 'composite'),
        ('mask-rcnn-small', 'plain'),
        ('faster-rcnn-small', 'pyramid'),
        ('retinanet', 'plain'),
        ('rtmdet', 'pyramid'),
        ('dino', 'pyramid'),
    ],
)
def test_detectors_run(head, lead, tiny):
    entry = read_entry(LEADS[lead])
    cfg = entry_config(entry, replace(tiny, head=head))
    if head == 'dino':
        cfg.model.num_queries = 20  # the images have few positions
    model = revert_sync_batchnorm(build_model(cfg.model))
    for module in model.modules():  # what the weights of a file would settle
        if hasattr(module, 'init_cfg'):
            module.init_cfg = None
    model.init_weights()  # some parameters are empty before
    for protocol in PROTOCOLS:
        shared = entry_config(entry, replace(tiny, protocol=protocol))
        wrapper = dict(shared.optim_wrapper, type='OptimWrapper')
        with DefaultScope.overwrite_default_scope('mmdet'):
            build_optim_wrapper(model, wrapper)
    batch = make_batch(num_classes=80)
    if not HEADS[head].masks:
        for sample in batch['data_samples']:
            del sample.gt_instances.masks
    model.train()
    data = model.data_preprocessor(batch, True)
    losses = model(**data, mode='loss')
    assert model.parse_losses(losses)[0].isfinite()
    model.eval()
    with torch.no_grad():
        data = model.data_preprocessor(make_batch(num_classes=80), False)
        found = model(**data, mode='predict')
    assert len(found) == 2
    assert ('masks' in found[0].pred_instances) == HEADS[head].masks


def specs(*strides):
    return [StageSpec(8, s, 8, s) for s in strides]


@pytest.mark.parametrize(
    ('head', 'strides', 'stages', 'anchors', 'padding'),
    [
        ('mask-rcnn', (4, 8, 16, 32), (0, 1, 2, 3), [4, 8, 16, 32, 64], 32),
        ('mask-rcnn', (16, 32, 64), (0, 1, 2), [16, 32, 64, 128, 256], 64),
        ('faster-rcnn', (16,) * 4, (3,), [4, 8, 16, 32, 64], 32),
        ('retinanet', (4, 8, 16, 32), (1, 2, 3), [8, 16, 32, 64, 128], 32),
        ('rtmdet', (4, 8, 16, 32, 64), (1, 2, 3), [8, 16, 32], 32),
        ('rtmdet', (16, 16, 16, 16), (3,), [8, 16, 32], 32),
        ('retinanet', (8, 16, 16, 16), (0, 3), [8, 16, 32, 64, 128], 32),
    ],
)
def test_strides(head, strides, stages, anchors, padding):
    model = fitted_model(head, specs(*strides), 'x')
    assert model.backbone.out_indices == stages
    place = model.get('rpn_head') or model.bbox_head
    assert place.anchor_generator.strides == anchors
    assert model.data_preprocessor.pad_size_divisor == padding
    if 'roi_head' in model:
        extractor = model.roi_head.bbox_roi_extractor
        assert extractor.featmap_strides == anchors[:4]


@pytest.mark.parametrize('strides', [(4, 16, 32), (4, 8, 32), (8, 16)])
def test_no_pyramid(strides):
    with pytest.raises(UserError, match='--head rtmdet cannot make a pyr'):
        fitted_model('rtmdet', specs(*strides), 'x')


@pytest.mark.parametrize('name', PROTOCOLS)
def test_entries_share_everything_but_the_model(name):
    settings = Settings(name, PROTOCOLS[name].head)
    entries = ['test_resnet', '2x test_resnet']
    found = [entry_config(read_entry(e), settings).to_dict() for e in entries]
    for cfg in found:
        model = cfg.pop('model')
        for part in ('backbone', 'neck', 'data_preprocessor'):
            del model[part]
        cfg['heads'] = {
            k: v
            for k, v in model.items()
            if k not in ('type', 'base', 'assistance')
        }
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ('text', 'rates'),
    [
        ('test_resnet', [0.3]),
        ('random:test_resnet', [1.0]),
        ('2x random:test_resnet, shared_stages=none', [1.0, 1.0]),
        ('random:test_resnet + test_resnet', [1.0, 0.3]),
        ('test_resnet + random:test_resnet', [0.3, 1.0]),
    ],
)
def test_rates_of_members(text, rates, tiny):
    """Only pretrained members learn more slowly than what is new."""
    cfg = entry_config(read_entry(text), tiny)
    model = build_without_weights(cfg)
    with DefaultScope.overwrite_default_scope('mmdet'):
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    lrs = {id(g['params'][0]): g['lr'] for g in wrapper.param_groups}
    found = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = name.partition('backbone.')[2].split('.')[:2]
            key = part[1] if part[0] == 'members' else 'new'
            lr = lrs[id(parameter)] / 3e-4
            found.setdefault(key, set()).add(round(lr, 6))
    wanted = {str(k): {rate} for k, rate in enumerate(rates)}
    assert found == wanted | dict(new={1.0})
    study = entry_config(read_entry(text), replace(tiny, protocol='study'))
    keys = ' '.join(study.optim_wrapper.paramwise_cfg.custom_keys)
    assert 'backbone' not in keys  # one rate for everything


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'model.foo': 3}, "model.foo=3, it does not build: .*'foo'"),
        ({'model.backbone.with_cp': 3}, 'with_cp=3'),
        ({'model.backbone': 3}, 'model.backbone=3'),
        ({'optim_wrapper.foo': 3}, 'optim_wrapper.foo=3, it does not build'),
        ({'optim_wrapper': {'optimizer': {'lt': 3}}}, "'lt'"),
    ],
)
def test_changes_that_do_not_build(changes, sentence, tiny):
    entry = read_entry('random:test_resnet, name=mine')
    with pytest.raises(UserError, match=sentence) as error:
        entry_config(replace(entry, changes=changes), tiny)
    assert str(error.value).startswith("--entries 'mine': with cfg: ")


def test_changes(tiny):
    changes = {
        'model.backbone.with_cp': True,
        'optim_wrapper.paramwise_cfg': {
            'custom_keys': {'backbone.connections': {'lr_mult': 10.0}}
        },
    }
    entry = read_entry('2x random:test_resnet')
    cfg = entry_config(replace(entry, changes=changes), tiny)
    assert cfg.model.backbone.with_cp
    rates = cfg.optim_wrapper.paramwise_cfg.custom_keys
    assert rates['backbone.connections'].lr_mult == 10.0
    assert rates['backbone.members.1.'].lr_mult == 1.0


def test_the_study():
    protocol = PROTOCOLS['study']
    assert protocol.lrs == (8e-5, 1e-4, 2e-4, 3e-4)
    settings = Settings('study', protocol.head)
    cfg = entry_config(read_entry(LEADS['pyramid']), settings)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.betas, optimizer.weight_decay) == (
        'AdamW', (0.9, 0.999), 0.05,
    )  # fmt: skip
    assert 'Amp' in cfg.optim_wrapper.type
    for head in cfg.model.roi_head.bbox_head:
        assert head.num_shared_convs == 4 and head.num_shared_fcs == 1
        assert head.norm_cfg.type == 'SyncBN'
        assert (head.loss_bbox.type, head.loss_bbox.loss_weight) == (
            'GIoULoss', 10.0,
        )  # fmt: skip
    vit = entry_config(read_entry(LEADS['plain']), settings).model
    assert vit.neck.type == 'SimpleFeaturePyramid'
    norms = [head.norm_cfg for head in vit.roi_head.bbox_head]
    assert norms == [dict(type='GN', num_groups=1)] * 3
    assert cfg.train_dataloader.dataset.pipeline[3].type == 'RandomChoice'
    count_in_steps(cfg, 36_000, drop=True)
    rise, drops = cfg.param_scheduler
    assert (rise.end, drops.milestones) == (1000, [27_000, 33_000])
    frozen = build_backbone(read_entry('frozen:test_resnet=x')).cfg
    model = build_model(frozen)
    assert not any(p.requires_grad for p in model.parameters())


def test_sizes_are_scaled():
    settings = Settings('study', 'mask-rcnn', (133, 160), workers=0)
    cfg = entry_config(read_entry(LEADS['pyramid']), settings)
    _, _, _, choice, _ = cfg.train_dataloader.dataset.pipeline
    first, second = choice.transforms
    assert first[0].scales[0] == (133, 96) and first[0].scales[-1][1] == 160
    assert second[0].scales == [(133, 80), (133, 100), (133, 120)]
    # 384 to 600, each times the root of 133 / 1333 * 160 / 800
    assert second[1].crop_size == (54, 85)
    assert cfg.test_dataloader.dataset.pipeline[1].scale == (133, 160)
    assert not cfg.test_dataloader.persistent_workers
