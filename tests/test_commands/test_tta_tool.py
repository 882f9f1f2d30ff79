"""Test-time augmentation from the command line and in configs.

``tools/test.py --tta`` and ``tools/infer.py --tta-scales`` find what
MaskTTAModel finds, whose results file and pictures are as ever; scales that
are none are refused.  ``add_tta``: the config's own pipeline; else views
made from the test pipeline; scales from the command line before both;
wrapped data sets; pipelines that no views can be made from.  The published
scales come into a config by one line.
"""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.registry import DATASETS, TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from pycocotools import mask as coco_mask

from cbnet.compat.safe_loading import load_safely
from cbnet.testing import build_model
from cbnet.tta.config import add_tta

CONFIGS = Path(__file__).parents[2] / 'configs'


def detect(cfg, checkpoint):
    """What the wrapped model of a config finds in the test images."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
        model = build_model(cfg.model)
    weights = load_safely(checkpoint)['state_dict']
    model.module.load_state_dict(weights)
    model.eval()
    return [
        model.test_step(pseudo_collate([dataset[i]]))[0].pred_instances
        for i in range(len(dataset))
    ]


def test_test_tool(tiny_config, weights, run_tool):
    ran = run_tool(
        'test.py', tiny_config, weights, '--tta', '--out', 'found.pkl',
        '--show-dir', 'pictures',
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    assert 'test-time augmentation: 2 views of an image' in ran.stdout
    assert 'coco/segm_mAP:' in ran.stdout
    assert len(list(run_tool.folder.glob('pictures/*.png'))) == 2

    cfg = Config.fromfile(tiny_config)
    assert add_tta(cfg) == 2
    expected = detect(cfg, weights)
    with open(run_tool.folder / 'found.pkl', 'rb') as file:
        images = pickle.load(file)  # noqa: S301 (written by the tool above)
    assert len(images) == len(expected) == 2
    for image, one in zip(images, expected, strict=True):
        found = image['pred_instances']
        assert len(found['scores']) == len(one) > 3
        torch.testing.assert_close(found['bboxes'], one.bboxes)
        torch.testing.assert_close(found['scores'], one.scores)
        masks = np.stack([coco_mask.decode(rle) for rle in found['masks']])
        assert (masks == one.masks.numpy()).all()


def test_infer_tool(infer, tiny_config, weights, photos):
    status, output = infer(photos, '--tta-scales', '96,64', '120,80')
    assert status == 0, output
    cfg = Config.fromfile(tiny_config)
    assert add_tta(cfg, [(96, 64), (120, 80)]) == 4
    expected = sum(len(one) for one in detect(cfg, weights))
    assert f'2 images, {expected} detections' in output
    _, plain = infer(photos)
    assert f'{expected} detections' not in plain


@pytest.mark.parametrize('text', ['1600', '1600x1400', '1600,0', ','])
def test_no_scale(infer, photos, text):
    status, output = infer(photos, '--tta-scales', text)
    assert status == 2
    assert f'{text!r} is not a scale; give width,height in pixels' in output


def steps(cfg):
    return [step['type'] for step in cfg.test_dataloader.dataset.pipeline]


def test_views_of_the_test_pipeline(tiny_config):
    cfg = Config.fromfile(tiny_config)
    before = cfg.model.to_dict()
    assert add_tta(cfg, [(60, 40), (96, 64), (120, 80)]) == 6
    assert cfg.model.type == 'MaskTTAModel'
    assert cfg.model.module.to_dict() == before
    assert steps(cfg) == [
        'LoadImageFromFile', 'LoadAnnotations', 'TestTimeAug',
    ]  # fmt: skip
    with DefaultScope.overwrite_default_scope('mmdet'):
        image = DATASETS.build(cfg.test_dataloader.dataset)[0]
    made = [
        (sample.img_shape, sample.flip, tuple(pixels.shape[1:]))
        for sample, pixels in zip(
            image['data_samples'], image['inputs'], strict=True
        )
    ]
    assert made == [
        (size, flip, size)
        for size in ((40, 60), (64, 96), (80, 120))
        for flip in (False, True)
    ]


def test_pipeline_of_the_config(tiny_config):
    cfg = Config.fromfile(tiny_config)
    own = Config.fromfile(CONFIGS / '_base_/tta_4scales.py')
    cfg.merge_from_dict(own.to_dict())
    cfg.tta_model.tta_cfg = dict(max_per_img=7)
    assert add_tta(cfg) == 8
    assert cfg.model.tta_cfg.max_per_img == 7
    assert steps(cfg) == ['LoadImageFromFile', 'TestTimeAug']
    cfg = Config.fromfile(tiny_config)
    cfg.merge_from_dict(own.to_dict())
    assert add_tta(cfg, [(96, 64)]) == 2


def test_published_scales_in_one_line(tmp_path):
    """From an image of 640 x 480: sizes, flips, what the model needs."""
    path = tmp_path / 'mine.py'
    base = [
        str(CONFIGS / 'cbnet/dual_r50.py'),
        str(CONFIGS / '_base_/tta_4scales.py'),
    ]
    path.write_text(f'_base_ = {base}\n')
    cfg = Config.fromfile(path)
    assert add_tta(cfg) == 8
    with DefaultScope.overwrite_default_scope('mmdet'):
        views = Compose(
            [TRANSFORMS.build(cfg.test_dataloader.dataset.pipeline[1])]
        )(
            dict(
                img=np.zeros((480, 640, 3), np.uint8),
                img_id=1,
                img_path='',
                img_shape=(480, 640),
                ori_shape=(480, 640),
                instances=[],
            )
        )
    made = [(s.img_shape, s.flip) for s in views['data_samples']]
    sizes = ((1000, 1333), (1200, 1600), (1200, 1600), (1350, 1800))
    assert made == [(size, flip) for size in sizes for flip in (False, True)]
    assert 'flip_direction' in views['data_samples'][0]


def test_wrapped_data_sets(tiny_config):
    cfg = Config.fromfile(tiny_config)
    one = cfg.test_dataloader.dataset.to_dict()
    cfg.test_dataloader.dataset = dict(
        type='RepeatDataset',
        times=1,
        dataset=dict(type='ConcatDataset', datasets=[one, one]),
    )
    assert add_tta(cfg) == 2
    for inner in cfg.test_dataloader.dataset.dataset.datasets:
        assert inner.pipeline[-1].type == 'TestTimeAug'


def test_no_views_to_be_made(tiny_config):
    cfg = Config.fromfile(tiny_config)
    pipeline = cfg.test_dataloader.dataset.pipeline
    cfg.test_dataloader.dataset.pipeline = [
        step for step in pipeline if step['type'] != 'Resize'
    ]
    with pytest.raises(ValueError, match='which has 0; write tta_pipeline'):
        add_tta(cfg)
    cfg.tta_pipeline = pipeline
    with pytest.raises(ValueError, match='tta_pipeline has no TestTimeAug'):
        add_tta(cfg)
    del cfg.test_dataloader.dataset['pipeline']
    cfg.pop('tta_pipeline')
    with pytest.raises(ValueError, match='needs the pipeline of the test'):
        add_tta(cfg)
