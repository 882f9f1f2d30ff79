"""mmdet's own inference on composites: the functions and the inferencer.

``init_detector`` with ``inference_detector``, from a file and from pixels,
and ``DetInferencer``, one image and a batch, agree with the detector's
``predict``; the plain detector of the same composite predicts the same; the
file's connections matter; names of classes come from the file.
"""

import copy

import cv2
import numpy as np
import pytest
import torch
from mmdet.apis import DetInferencer, inference_detector, init_detector
from mmengine.config import Config
from mmengine.runner import save_checkpoint

from cbnet.testing import build_model, tiny_composite, tiny_detector

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(96, 64), keep_ratio=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape')
        + ('scale_factor',),
    ),
]


def make_config(base, **composite):
    model = tiny_detector(base, tiny_composite(**composite), num_classes=2)
    model.update(type='AssistedDetector', base=base)
    dataset = dict(type='CocoDataset', ann_file='', pipeline=PIPELINE)
    return Config(
        dict(
            model=model,
            test_dataloader=dict(dataset=dataset),
            visualizer=dict(type='DetLocalVisualizer'),
            default_scope='mmdet',
        )
    )


def save(model, path):
    meta = dict(dataset_meta=dict(classes=('red', 'blue')))
    save_checkpoint(dict(state_dict=model.state_dict(), meta=meta), str(path))
    return str(path)


@pytest.fixture(
    params=[
        ('MaskRCNN', dict(num_members=3, style='fcc')),
        ('RetinaNet', dict(shared_stages=None)),
    ],
    ids=lambda parameters: parameters[0],
)
def trained(request, tmp_path):
    """A config and a file whose connections are not zero."""
    base, composite = request.param
    cfg = make_config(base, **composite)
    model = build_model(cfg.model)
    for weight in model.backbone.connections.parameters():
        weight.data.normal_(std=0.1)
    # Scores on both sides of the threshold; the background's stay low.
    if base == 'MaskRCNN':
        model.roi_head.bbox_head.fc_cls.weight.data.normal_(std=0.3)[-1] = 0
    else:
        model.bbox_head.retina_cls.bias.data.fill_(0)
    return cfg, save(model, tmp_path / 'trained.pth'), model.eval()


@pytest.fixture
def photos(tmp_path):
    generator = np.random.default_rng(0)
    paths = [str(tmp_path / f'{name}.png') for name in 'ab']
    for path in paths:
        pixels = generator.integers(0, 256, (64, 96, 3), dtype=np.uint8)
        cv2.imwrite(path, cv2.blur(pixels, (5, 5)))
    return paths


def assert_same(found, expected, tolerance=1e-6):
    """Compare labels, scores and bboxes; ``found`` may hold lists."""
    assert len(expected.scores) > 3
    for key in ('labels', 'scores', 'bboxes'):
        value = torch.as_tensor(found[key])
        scale = 100 if key == 'bboxes' else 1
        torch.testing.assert_close(
            value, expected[key], rtol=0, atol=scale * tolerance
        )


def test_functions_and_inferencer_agree(trained, photos):
    cfg, weights, model = trained
    loaded = init_detector(cfg, weights, device='cpu', palette='random')
    assert loaded.dataset_meta['classes'] == ('red', 'blue')
    assert not loaded.training
    inferencer = DetInferencer(
        cfg, weights, device='cpu', palette='random', show_progress=False
    )
    batch = inferencer(photos, batch_size=2)['predictions']
    for path, in_batch in zip(photos, batch, strict=True):
        pixels = cv2.imread(path)
        image = torch.from_numpy(pixels).permute(2, 0, 1)
        sample = inference_detector(loaded, path)
        with torch.no_grad():
            (expected,) = model.test_step(
                dict(inputs=[image], data_samples=[sample.clone()])
            )
        expected = expected.pred_instances
        found = sample.pred_instances
        assert_same(found, expected)
        (alone,) = inferencer(path)['predictions']
        assert_same(alone, expected)
        assert_same(in_batch, expected, tolerance=1e-4)
    # Last, because mmdet's function changes the model's config for it.
    found = inference_detector(loaded, pixels).pred_instances
    assert_same(found, expected)


def test_the_plain_detector_predicts_the_same(trained, photos):
    cfg, weights, _ = trained
    plain = copy.deepcopy(cfg)
    plain.model.pop('assistance', None)
    plain.model.type = plain.model.pop('base')
    expected, found = (
        inference_detector(
            init_detector(c, weights, device='cpu', palette='random'),
            photos[0],
        ).pred_instances
        for c in (cfg, plain)
    )
    assert_same(found, expected)


def test_connections_of_the_file_matter(trained, photos, tmp_path):
    cfg, weights, model = trained
    for weight in model.backbone.connections.parameters():
        weight.data.zero_()
    without = save(model, tmp_path / 'without.pth')
    one, other = (
        DetInferencer(
            cfg, file, device='cpu', palette='random', show_progress=False
        )(photos[0])['predictions'][0]['scores']
        for file in (weights, without)
    )
    assert one != other
