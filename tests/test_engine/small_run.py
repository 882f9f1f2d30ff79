"""A training run of milliseconds, to stop in every way and to resume."""

import itertools

import torch
from mmdet.registry import DATASETS, MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from cbnet.datasets.checked_images import ImageFileError
from cbnet.engine.guards import add_guards

numbers = itertools.count()
_SCHEDULE = dict(type='LinearLR', by_epoch=False, end=6)
#: the order of the samples in a run, or in its first epoch
ORDER = torch.randperm(8, generator=torch.manual_seed(3)).tolist()


@MODELS.register_module(force=True)
class SmallModel(BaseModel):
    """Two losses, and a norm whose statistics every forward pass changes."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.layer = nn.Linear(3, 1)
        # Checkpoints larger than logs, for tests that limit their size.
        self.unused = nn.Parameter(torch.zeros(40_000))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        y = self.layer(self.norm(torch.stack(inputs)))
        if mode == 'predict':
            return data_samples
        return {'loss_a': (y - 1).square().mean(), 'assist0.loss_b': y.abs()}


@DATASETS.register_module(force=True)
class SmallData(Dataset):
    """Eight samples; ``broken`` ones cannot be read, ``bad`` ones are nan."""

    metainfo = dict(classes=('one',))

    def __init__(self, broken=(), bad=()):
        self.broken, self.bad = broken, bad

    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index in self.broken:
            raise ImageFileError(f'image {index}.jpg is missing')
        x = torch.tensor([index, index**2 % 5, -index]) / 4
        sample = DetDataSample(metainfo=dict(img_path=f'{index}.jpg'))
        return dict(
            inputs=x * float('nan') if index in self.bad else x,
            data_samples=sample,
        )


def small_config(work_dir, **settings):
    """Return the config of a run with batches of two, four in an epoch."""
    torch.manual_seed(1)
    defaults = dict(
        model=dict(type='SmallModel'),
        work_dir=str(work_dir),
        train_dataloader=small_loader('DefaultSampler'),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1)),
        default_scope='mmdet',
        randomness=dict(seed=3),
        experiment_name=f'small{next(numbers)}',
        env_cfg=dict(mp_cfg=dict(mp_start_method='fork')),
    )
    # Formatting the config would take most of the time.
    return Config(dict(defaults, **settings), format_python_code=False)


def small_loader(sampler, workers=0, **samples):
    return dict(
        dataset=dict(type='SmallData', **samples),
        sampler=dict(type=sampler, shuffle=True),
        batch_size=2,
        num_workers=workers,
    )


def small_run(
    work_dir, epochs=0, steps=6, workers=0, checkpoint=(), broken=(), bad=(),
    train_cfg=(), **settings,
):  # fmt: skip
    """Build a runner with the guards of the commands.

    Args:
        work_dir: the folder of the run.
        epochs: the number of epochs, of four steps each; 0 for a loop of
            iterations.
        steps: the number of steps of a loop of iterations.
        workers: the number of the dataloader's worker processes.
        checkpoint: the options of the checkpoint hook.
        broken: the samples that cannot be read.
        bad: the samples that are nan.
        train_cfg: further options of the loop.
        settings: further keys of the config.
    """
    by_epoch = bool(epochs)
    sampler = 'DefaultSampler' if by_epoch else 'InfiniteSampler'
    loop = dict(max_epochs=epochs) if by_epoch else dict(max_iters=steps)
    hook = dict(type='CheckpointHook', interval=2, by_epoch=by_epoch)
    cfg = small_config(
        work_dir,
        train_dataloader=small_loader(
            sampler, workers, broken=broken, bad=bad
        ),
        train_cfg=dict(loop, by_epoch=by_epoch, **dict(train_cfg)),
        default_hooks=dict(checkpoint={**hook, **dict(checkpoint)}),
        log_processor=dict(by_epoch=by_epoch),
        **(dict(param_scheduler=_SCHEDULE) | settings),
    )
    add_guards(cfg)
    return Runner.from_cfg(cfg)


def state(path):
    """Return the weights, running statistics and optimizer of a file."""
    file = torch.load(path, weights_only=True)
    return file['state_dict'], file['optimizer']['state']


def equal(one, other):
    """Compare nested dicts of tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict | tuple):
        keys = one if isinstance(one, dict) else range(len(one))
        return len(one) == len(other) and all(
            equal(one[key], other[key]) for key in keys
        )
    return one == other
