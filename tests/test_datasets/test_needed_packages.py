"""A package that a data set or metric needs is asked for before training."""

from importlib.machinery import ModuleSpec

import pytest
from mmengine.config import Config

from cbnet.config_files import find_config
from cbnet.datasets import needed_packages
from cbnet.datasets.needed_packages import check_packages
from cbnet.errors import UserValueError


def missing(monkeypatch, *names):
    monkeypatch.setattr(
        needed_packages,
        'find_spec',
        lambda name: None if name in names else ModuleSpec(name, None),
    )


@pytest.mark.parametrize(
    ('config', 'package', 'parts'),
    [
        (
            'panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py',
            'panopticapi',
            dict(
                train_dataloader='LoadPanopticAnnotations',
                val_dataloader='LoadPanopticAnnotations',
                val_evaluator='CocoPanopticMetric',
            ),
        ),
        (
            'lvis/mask-rcnn_r50_fpn_sample1e-3_ms-1x_lvis-v1.py',
            'lvis',
            dict(train_dataloader='LVISV1Dataset', val_evaluator='LVISMetric'),
        ),
        (
            'qdtrack/qdtrack_faster-rcnn_r50_fpn_8xb2-4e_'
            'mot17halftrain_test-mot17halfval.py',
            'trackeval',
            dict(val_evaluator='MOTChallengeMetric'),
        ),
    ],
)
def test_what_needs_a_package(config, package, parts, monkeypatch):
    cfg = Config.fromfile(find_config(f'mmdet::{config}'))
    missing(monkeypatch)
    check_packages(cfg, 'train', 'val')
    missing(monkeypatch, package)
    for key, name in parts.items():
        split, section = key.split('_')
        other = 'evaluator' if section == 'dataloader' else 'dataloader'
        alone = Config({key: cfg[key], f'{split}_{other}': None})
        with pytest.raises(UserValueError) as raised:
            check_packages(alone, split)
        assert str(raised.value).startswith(
            f'{key}: {name} needs the package {package}, which is not '
            f'installed; pip install git+https://github.com/'
        )
        assert ('CocoMetric' in str(raised.value)) == (section == 'evaluator')


def test_a_plain_config_needs_none(monkeypatch):
    missing(monkeypatch, *needed_packages._INSTALLED_BY)
    name = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
    check_packages(Config.fromfile(find_config(name)), 'train', 'val', 'test')
