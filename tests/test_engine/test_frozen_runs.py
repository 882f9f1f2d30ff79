"""Runs of two processes leave a frozen member alone.

1. A gloo run with AMP, accumulated gradients, layer-wise rates and weight
   decay: with EMA, resumed from its first checkpoint, then with SWA from the
   last one.  All parameters that DDP waits for get a gradient.  The frozen
   member, with its batch norms, stays as its pretrained file, in the model,
   in the average and in the files, whether these hold its weights or a hash.
2. FSDP shards it with the rest of the model; the hash is that of the whole
   weights, and follows them, and no maps are kept.
"""

import os

import torch
import torch.distributed as dist
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.utils.data import Dataset

from cbnet.engine.guards import add_guards
from cbnet.engine.launch import finish_launch, prepare_launch
from cbnet.testing import (
    TINY_MEMBERS,
    build_model,
    make_batch,
    tiny_detector,
)

from ..two_processes import run_in_two

ASSISTANT = 'backbone.members.0.'
#: how the first run of a process wraps its model, for the next ones
WRAPPER = {}
STAGES = ['layer1', 'layer2', 'layer3', 'layer4']


@DATASETS.register_module(force=True)
class FourImages(Dataset):
    """Images and boxes of random numbers, of one size."""

    metainfo = dict(classes=('a', 'b', 'c'))

    def __len__(self):
        return 4

    def __getitem__(self, index):
        batch = make_batch((2,), seed=index)
        return {name: values[0] for name, values in batch.items()}


def config(folder, save_frozen, **settings):
    assistant = dict(
        type='Member',
        backbone=dict(
            TINY_MEMBERS['timm_efficientnet'],
            init_cfg=dict(type='Pretrained', checkpoint=f'{folder}/some.pth'),
        ),
        frozen=True,
        save_frozen=save_frozen,
        scale=0.5,
    )
    lead = dict(TINY_MEMBERS['resnet'], norm_eval=False)
    model = tiny_detector(
        'RetinaNet',
        dict(
            type='CompositeBackbone',
            member=[assistant, lead],
            shared_stages=None,
            connection=dict(init='zero'),
        ),
    )
    defaults = dict(
        model=model,
        work_dir=f'{folder}/{save_frozen}',
        train_dataloader=dict(
            dataset=dict(type='FourImages'),
            sampler=dict(type='DefaultSampler', shuffle=True),
            batch_size=1,
            num_workers=0,
        ),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(
            type='CpuAmpOptimWrapper',
            accumulative_counts=2,
            optimizer=dict(type='AdamW', lr=0.01, weight_decay=0.5),
            constructor='MemberLayerDecayConstructor',
            paramwise_cfg=dict(layer_decay=0.7),
        ),
        default_scope='mmdet',
        randomness=dict(seed=3),
        log_level='ERROR',
        experiment_name=f'{save_frozen} {len(settings)}',
    )
    return Config(dict(defaults, **settings), format_python_code=False)


def trained(cfg):
    """Run; give the runner and the names of the parameters that moved."""
    if dist.is_initialized():
        cfg.update(launcher='pytorch', model_wrapper_cfg=WRAPPER)
    else:
        prepare_launch(cfg, 'pytorch')
        WRAPPER.update(cfg.model_wrapper_cfg)
    add_guards(cfg)
    runner = Runner.from_cfg(cfg)
    assert is_model_wrapper(runner.model)
    before = {
        n: p.detach().clone() for n, p in runner.model.named_parameters()
    }
    runner.train()
    moved = {
        name.removeprefix('module.')
        for name, p in runner.model.named_parameters()
        if not torch.equal(before[name], p)
    }
    return runner, moved


def whole(module):
    """Copy the weights, of all processes."""
    return {
        name: w.full_tensor() if isinstance(w, DTensor) else w.clone()
        for name, w in module.state_dict().items()
    }


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)


def check(runner, moved, folder, save_frozen):
    """Compare a run with the pretrained file of the frozen member."""
    source = torch.load(folder / 'some.pth')
    detector = runner.model.module
    member = detector.backbone.members[0]
    assert same(whole(member), source)
    assert any(name.startswith('backbone.members.1.') for name in moved)
    assert any(name.startswith('backbone.connections.') for name in moved)
    optimizer = runner.optim_wrapper.optimizer
    held = {id(p) for p in optimizer.state}
    trained = {id(p) for p in detector.parameters() if p.requires_grad}
    assert held == trained
    assert not held & {id(p) for p in member.parameters()}
    (average,) = [h for h in runner.hooks if isinstance(h, EMAHook)]
    copied = average.ema_model.module
    assert same(whole(copied.backbone.members[0]), source)
    lead = copied.backbone.members[1].bn1.running_mean
    assert not torch.equal(lead, torch.zeros_like(lead))
    if runner.rank:
        return
    file = torch.load(folder / str(save_frozen) / f'epoch_{runner.epoch}.pth')
    for key, start in (
        ('state_dict', ASSISTANT),
        ('ema_state_dict', 'module.' + ASSISTANT),
    ):
        found = {
            name.removeprefix(start): weight
            for name, weight in file[key].items()
            if name.startswith(start)
        }
        if save_frozen:
            assert same(found, source)
        else:
            assert list(found) == ['sha256']


def check_sharded(cfg, folder, save_frozen):
    """Train with FSDP, which shards each stage, and what is around them."""
    source = torch.load(folder / 'some.pth')
    maps = folder / 'maps'
    cfg.model.backbone.member[0].cache = dict(folder=str(maps))
    detector = build_model(cfg.model)
    detector.init_weights()
    hashes = [w for n, w in detector.state_dict().items() if 'sha256' in n]
    member, lead = detector.backbone.members
    mesh = init_device_mesh('cpu', (2,))
    for stage in [*member.model.blocks, *map(lead.get_submodule, STAGES)]:
        fully_shard(stage, mesh=mesh)
    fully_shard(detector, mesh=mesh)
    before = whole(lead)
    optimizer = torch.optim.AdamW(
        [p for p in detector.parameters() if p.requires_grad],
        lr=0.01,
        weight_decay=0.5,
    )
    for seed in range(2):
        batch = make_batch((2,), seed=2 * seed + dist.get_rank())
        data = detector.data_preprocessor(batch, training=True)
        losses = detector(**data, mode='loss')
        detector.parse_losses(losses)[0].backward()
        optimizer.step()
    assert not same(before, whole(lead))
    assert same(whole(member), source)
    assert not maps.exists()  # or some processes would wait for others
    found = detector.state_dict()
    if save_frozen:
        assert not hashes
        return
    torch.testing.assert_close(found[f'{ASSISTANT}sha256'], *hashes)
    other = {
        n: w + 1 if isinstance(w, DTensor) else w
        for n, w in member.state_dict().items()
    }
    member.load_state_dict(other, assign=True)
    other = detector.state_dict()[f'{ASSISTANT}sha256']
    assert not torch.equal(other, *hashes)


def process(rank, port, folder):
    torch.set_num_threads(1)
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2',
        MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port),
    )  # fmt: skip
    ema = dict(type='EMAHook', momentum=0.3, update_buffers=True)
    for save_frozen in (True, False):
        for epochs, resume in ((1, False), (2, True)):
            cfg = config(
                folder,
                save_frozen,
                custom_hooks=[ema],
                train_cfg=dict(by_epoch=True, max_epochs=epochs),
                resume=resume,
            )
            check(*trained(cfg), folder, save_frozen)
        check_sharded(cfg, folder, save_frozen)
    cfg = config(
        folder,
        save_frozen,
        custom_hooks=[dict(type='SWAHook')],
        load_from=f'{folder}/{save_frozen}/epoch_2.pth',
    )
    check(*trained(cfg), folder, save_frozen)
    finish_launch()


def test_two_processes(tmp_path):
    torch.manual_seed(7)
    pretrained = build_model(TINY_MEMBERS['timm_efficientnet'])
    torch.save(pretrained.state_dict(), tmp_path / 'some.pth')
    run_in_two(process, tmp_path)
