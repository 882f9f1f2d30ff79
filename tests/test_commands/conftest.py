"""A tiny training config on the tiny data set, and how to run a tool."""

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from cbnet.commands.main import main
from cbnet.testing import tiny_composite, tiny_detector

from .converter_runs import make_detector, run_converter
from .tiny_weights import save_weights

ROOT = Path(__file__).parents[2]
INFER = ROOT / 'tools' / 'infer.py'

CONFIG = """\
_base_ = 'mmdet::_base_/default_runtime.py'
custom_imports = dict(imports=['cbnet'], allow_failed_imports=False)
model = {model}
load = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
]
dataset = dict(
    type='CocoDataset',
    data_root={root!r},
    metainfo=dict(classes={classes}),
)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(
        **dataset,
        ann_file='train.json',
        data_prefix=dict(img='train/'),
        pipeline=[
            *load,
            dict(type='Resize', scale=(96, 64), keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackDetInputs'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **dataset,
        ann_file='val.json',
        data_prefix=dict(img='val/'),
        test_mode=True,
        pipeline=[
            *load,
            dict(type='Resize', scale=(96, 64), keep_ratio=True),
            dict(
                type='PackDetInputs',
                meta_keys=(
                    'img_id', 'img_path', 'ori_shape', 'img_shape',
                    'scale_factor',
                ),
            ),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type='CocoMetric', ann_file={root!r} + '/val.json',
    metric=['bbox', 'segm'],
)
test_evaluator = val_evaluator
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=2)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.001)
)
param_scheduler = dict(type='LinearLR', by_epoch=False, end=10)
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(by_epoch=False, interval=1, max_keep_ckpts=2),
)
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
"""


@pytest.fixture
def tiny_config(tiny_coco, tmp_path):
    """The path of a config: a tiny composite Mask R-CNN, two iterations."""
    model = tiny_detector('MaskRCNN', tiny_composite(), num_classes=2)
    model.update(
        type='AssistedDetector',
        base='MaskRCNN',
        assistance=dict(weights=[0.5]),
    )
    path = tmp_path / 'tiny.py'
    path.write_text(
        CONFIG.format(
            model=model, root=str(tiny_coco.root), classes=tiny_coco.classes
        )
    )
    return path


@pytest.fixture
def run_tool(tmp_path):
    """Run a file of tools/ or a module in an empty folder.

    Gives the finished process.
    """
    folder = tmp_path / 'elsewhere'
    folder.mkdir()

    def run(tool, *arguments, **environment):
        command = {
            '.sh': [ROOT / 'tools' / tool],
            '.py': [sys.executable, ROOT / 'tools' / tool],
        }.get(tool[-3:], [sys.executable, '-m', tool])
        paths = [str(ROOT), os.environ.get('PYTHONPATH')]
        return subprocess.run(
            [*map(str, command), *map(str, arguments)],
            cwd=folder,
            env={
                **os.environ,
                'PYTHONPATH': os.pathsep.join(filter(None, paths)),
                'PYTHON': sys.executable,
                'OMP_NUM_THREADS': '1',
                'CUDA_VISIBLE_DEVICES': '-1',
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    run.folder = folder
    return run


@pytest.fixture(scope='session')
def iterations():
    """Give the numbers of the training iterations that an output logs."""

    def read(output):
        return [int(n) for n in re.findall(r'Iter\(train\) \[(\d+)/', output)]

    return read


@pytest.fixture
def weights(tiny_config, tmp_path):
    return save_weights(tiny_config, tmp_path / 'tiny.pth')


@pytest.fixture
def run_command(tmp_path, monkeypatch, capsys):
    """Run a command in this process; give its exit status and output."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            main([*map(str, arguments)])
            status, said = 0, ''
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
            said = end.code if isinstance(end.code, str) else ''
        output = capsys.readouterr()
        return status, output.out + output.err + said

    return run


@pytest.fixture
def infer(tiny_config, weights, run_command, tmp_path, monkeypatch):
    """Run ``cbnet infer`` in an empty folder, with ``run_command``."""
    folder = tmp_path / 'here'
    folder.mkdir()

    def run(*arguments, config=tiny_config, checkpoint=weights):
        monkeypatch.chdir(folder)
        return run_command('infer', config, checkpoint, *arguments)

    run.folder = folder
    return run


@pytest.fixture
def photos(tiny_coco, tmp_path):
    """A folder with the val images, one of them in a subfolder."""
    folder = tmp_path / 'photos'
    (folder / 'more').mkdir(parents=True)
    shutil.copy(tiny_coco.root / 'val/001.png', folder / 'b.png')
    shutil.copy(tiny_coco.root / 'val/002.png', folder / 'more' / 'a.png')
    return folder


@pytest.fixture
def make_video(tiny_coco, tmp_path):
    frame = cv2.imread(str(tiny_coco.root / 'val' / '001.png'))

    def make(name, code, count=3, size=(96, 64)):
        path = tmp_path / name
        code = cv2.VideoWriter.fourcc(*code)
        writer = cv2.VideoWriter(str(path), code, 5, size)
        for shift in range(count):
            moved = np.roll(cv2.resize(frame, size), 8 * shift, axis=1)
            writer.write(moved)
        writer.release()
        return path

    return make


@pytest.fixture
def convert(monkeypatch, capsys):
    """Run a converter in this process; see ``run_converter``."""
    return partial(run_converter, monkeypatch, capsys)


@pytest.fixture
def make_trained(tmp_path):
    """Make a tiny detector and its config file; see ``make_detector``."""
    return partial(make_detector, tmp_path)
