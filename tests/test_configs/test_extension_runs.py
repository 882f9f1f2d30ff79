"""Each extension config makes a training step and an evaluation.

By the commands that users run, in a folder with data/coco. A few are tried;
CBNET_EXTENSIONS=small tries all of them, with small models, and
CBNET_EXTENSIONS=whole with the models of the configs, which two cores can
hold but for LARGE. CBNET_COCO=FOLDER takes the images from a copy of COCO, or
of a part of it, instead of drawn ones.
"""

import json
import math
import os
from pathlib import Path

import pytest

from cbnet.commands.main import main

from .extension_runs import (
    EXTENSIONS,
    ROWS,
    figure_of,
    logged,
    small_config,
)
from .panoptic_stand_in import stand_in
from .small_coco import SPLITS, write_small_coco

ALL = os.environ.get('CBNET_EXTENSIONS')
COCO = os.environ.get('CBNET_COCO')
FAST = (
    'dual_rtmdet_ins_m',
    'dual_mask2former_r50_panoptic',
    'dual_mask2former_r50_vis',
    'dual_soft_teacher_r50',
)
LARGE = ('dual_dino_swin_l', 'dual_eva02_l', 'single_eva02_l')


@pytest.fixture(scope='module')
def data(tiny_coco, tmp_path_factory):
    """A folder with data/coco and data/youtube_vis_2021."""
    root = tmp_path_factory.mktemp('coco')
    drawn = [
        (tiny_coco.root / f'{name}.json', tiny_coco.root / name)
        for name in ('train', 'val')
    ]
    real = [
        (Path(COCO, f'annotations/instances_{split}.json'), Path(COCO, split))
        for split in SPLITS
        if COCO
    ]
    write_small_coco(real or drawn, root)
    return root


@pytest.mark.parametrize('name', EXTENSIONS if ALL else FAST)
def test_a_step_and_an_evaluation(name, data, tmp_path, monkeypatch):
    if 'grounding' in name:
        pytest.importorskip('transformers')
    stand_in(monkeypatch)
    monkeypatch.chdir(data)
    whole = ALL == 'whole' and name not in LARGE
    config, out = tmp_path / f'{name}.py', tmp_path / 'out'
    small_config(name, whole).dump(config)
    main(['train', str(config), '--work-dir', str(out)])
    (step,), (evaluated,) = logged(out)
    assert math.isfinite(step['loss'])
    assisted = [key for key in step if 'assist0.' in key]
    assert bool(assisted) == name.startswith('dual_')
    weights = out / 'iter_1.pth'
    main(['test', str(config), str(weights), '--work-dir', str(out / 'test')])
    weights.unlink()  # it may have gigabytes
    figure, value = figure_of(evaluated)
    (file,) = out.glob('test/*/*.json')
    tested = json.loads(file.read_text())
    assert tested[figure.removeprefix('teacher/')] == value
    if ALL:
        size = 'whole' if whole else 'small'
        row = [name, size, round(step['loss'], 4), figure, value]
        ROWS.mkdir(parents=True, exist_ok=True)
        (ROWS / f'{name}_{size}.json').write_text(json.dumps(row))
