"""Configs.

1. each has at most 40 lines, parses, and builds its detector;
2. the single-member twin has the state-dict names of the plain detector's
   backbone, one level down, and no others;
3. ``dual_r50.py`` is the published recipe, setting by setting;
4. every config of the zoo is in the metafile, every entry has its file.
"""

from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from cbnet.testing import build_model

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / 'configs' / 'cbnet').glob('*.py'))
FILES = sorted((ROOT / 'configs').rglob('*.py'))


def relative(path):
    return str(path.relative_to(ROOT))


def test_there_are_configs():
    assert len(CONFIGS) >= 6


@pytest.mark.parametrize('path', FILES, ids=relative)
def test_at_most_40_lines(path):
    assert len(path.read_text().splitlines()) <= 40


@pytest.mark.parametrize('path', CONFIGS, ids=relative)
def test_builds(path):
    cfg = Config.fromfile(path)
    model = build_model(cfg.model)
    members = 1 if path.stem.startswith('single_') else 2
    assert model.backbone.num_members == members
    assert len(model.assistant_weights) == members - 1
    assert 'cbnet' in cfg.custom_imports.imports


@pytest.mark.parametrize('name', ['r50', 'r50_mask'])
def test_single_twin_is_the_plain_detector(name):
    single = Config.fromfile(ROOT / f'configs/cbnet/single_{name}.py').model
    base = 'mask' if name.endswith('mask') else 'faster'
    plain = Config.fromfile(
        f'{Path(_mmdet())}/.mim/configs/_base_/models/{base}-rcnn_r50_fpn.py'
    ).model
    expected = set(build_model(plain).state_dict())
    found = {
        key.replace('backbone.members.0.', 'backbone.')
        for key in build_model(single).state_dict()
    }
    assert found == expected


def _mmdet():
    import mmdet

    return Path(mmdet.__file__).parent


def test_dual_r50_is_the_published_recipe():
    cfg = Config.fromfile(ROOT / 'configs/cbnet/dual_r50.py')
    model, backbone = cfg.model, cfg.model.backbone
    assert model.base == 'FasterRCNN'
    assert model.assistance == dict(weights=[0.5], proposals='lead')
    assert (backbone.style, backbone.shared_stages) == ('dhlc', 1)
    member = backbone.member
    assert (member.type, member.depth, member.style) == (
        'ResNet',
        50,
        'pytorch',
    )
    assert member.frozen_stages == 1 and member.norm_eval
    assert member.norm_cfg == dict(type='BN', requires_grad=True)
    assert member.init_cfg.checkpoint == 'torchvision://resnet50'
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.02, momentum=0.9, weight_decay=0.0001
    )
    assert 'clip_grad' not in cfg.optim_wrapper
    assert cfg.train_cfg.max_epochs == 12
    warmup, steps = cfg.param_scheduler
    assert (warmup.start_factor, warmup.end) == (0.001, 500)
    assert (steps.milestones, steps.gamma) == ([8, 11], 0.1)
    assert cfg.train_dataloader.batch_size == 2  # on each of 8 GPUs
    assert cfg.auto_scale_lr.base_batch_size == 16
    pipeline = {t.type: t for t in cfg.train_pipeline}
    assert pipeline['Resize'].scale == (1333, 800)
    assert pipeline['RandomFlip'].prob == 0.5
    assert model.data_preprocessor.pad_size_divisor == 32
    assert model.rpn_head.loss_bbox.type == 'L1Loss'
    assert model.rpn_head.anchor_generator.scales == [8]
    assert model.train_cfg.rpn.allowed_border == -1
    proposals = model.train_cfg.rpn_proposal
    assert (proposals.nms_pre, proposals.max_per_img) == (2000, 1000)
    rcnn = model.test_cfg.rcnn
    assert (rcnn.score_thr, rcnn.nms.iou_threshold) == (0.05, 0.5)
    assert rcnn.max_per_img == 100


def test_dual_r50_has_the_published_number_of_parameters():
    model = build_model(
        Config.fromfile(CONFIGS[0].parent / 'dual_r50.py').model
    )
    # The published counter counts what is trained.
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert round(count / 1e6) == 69


def test_metafile_lists_the_configs():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    listed = []
    for file in index['Import']:
        meta = yaml.safe_load((ROOT / file).read_text())
        listed += [entry['Config'] for entry in meta['Models']]
    assert sorted(listed) == [relative(path) for path in CONFIGS]
