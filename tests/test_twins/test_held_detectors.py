"""Composite twins of models that hold a detector: SoftTeacher and trackers.

1. `compose` finds the inner detector, or takes its place; what the config
   says of it is inherited.
2. SoftTeacher and ByteTrack train with assistance, as far as they ask the
   detector for its losses; the teacher's pseudo labels and the losses on them
   are those of the plain model.
3. MaskTrack R-CNN and QDTrack call heads, so that nothing is assisted: the
   first step ends in one sentence; without assistance they train.
4. Mask2Former-VIS gives its backbone the frames of videos, and is assisted.
"""

import copy

import pytest
import torch
from mmdet.models.trackers import byte_tracker
from mmengine.config import Config
from mmengine.registry import DefaultScope

from cbnet.testing import build_model
from cbnet.twins import TwinOptions, compose

from ..test_models.detector_batches import batch_for

RESNET = dict(depth=18, base_channels=8, frozen_stages=-1, init_cfg=None)
NECK = dict(in_channels=[8, 16, 32, 64], out_channels=16)
ROIS = dict(out_channels=16)
TWO_STAGE = dict(
    backbone=RESNET,
    neck=NECK,
    init_cfg=None,
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=ROIS,
        bbox_head=dict(in_channels=16, fc_out_channels=16),
    ),
)
MASKS = copy.deepcopy(TWO_STAGE)
MASKS['roi_head'].update(
    mask_roi_extractor=ROIS,
    mask_head=dict(num_convs=1, in_channels=16, conv_out_channels=16),
)
YOLOX = dict(
    backbone=dict(widen_factor=0.125, deepen_factor=0.33),
    neck=dict(in_channels=[32, 64, 128], out_channels=16, num_csp_blocks=1),
    bbox_head=dict(in_channels=16, feat_channels=16),
    init_cfg=None,
)
ATTENTION = dict(embed_dims=32, num_heads=4)
LAYERS = dict(
    self_attn_cfg=ATTENTION, ffn_cfg=dict(ATTENTION, feedforward_channels=16)
)
LAYERS['ffn_cfg'].pop('num_heads')
KINDS = {
    'SoftTeacher': (
        'soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-'
        'coco.py',
        dict(detector=TWO_STAGE),
    ),
    'ByteTrack': (
        'bytetrack/bytetrack_yolox_x_8xb4-80e_crowdhuman-mot17halftrain_'
        'test-mot17halfval.py',
        dict(detector=YOLOX, data_preprocessor=dict(batch_augments=None)),
    ),
    'MaskTrackRCNN': (
        'masktrack_rcnn/masktrack-rcnn_mask-rcnn_r50_fpn_8xb1-12e_'
        'youtubevis2019.py',
        dict(
            detector=MASKS,
            track_head=dict(
                roi_extractor=ROIS,
                embed_head=dict(in_channels=16, fc_out_channels=16),
            ),
        ),
    ),
    'QDTrack': (
        'qdtrack/qdtrack_faster-rcnn_r50_fpn_8xb2-4e_mot17halftrain_test-'
        'mot17halfval.py',
        dict(
            detector=TWO_STAGE,
            track_head=dict(
                roi_extractor=ROIS,
                embed_head=dict(in_channels=16, num_convs=1),
            ),
        ),
    ),
    'Mask2FormerVideo': (
        'mask2former_vis/mask2former_r50_8xb2-8e_youtubevis2019.py',
        dict(
            backbone=RESNET,
            init_cfg=None,
            track_head=dict(
                in_channels=[8, 16, 32, 64],
                feat_channels=32,
                out_channels=32,
                num_queries=5,
                pixel_decoder=dict(
                    norm_cfg=dict(num_groups=4),
                    positional_encoding=dict(num_feats=16),
                    encoder=dict(
                        num_layers=1,
                        layer_cfg=dict(
                            self_attn_cfg=dict(embed_dims=32, num_heads=4),
                            ffn_cfg=LAYERS['ffn_cfg'],
                        ),
                    ),
                ),
                positional_encoding=dict(num_feats=16),
                transformer_decoder=dict(
                    num_layers=1,
                    layer_cfg=dict(LAYERS, cross_attn_cfg=ATTENTION),
                ),
                train_cfg=dict(num_points=64),
            ),
        ),
    ),
}


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Write a tiny plain config and its twin; build both models."""
    monkeypatch.setattr(byte_tracker, 'lap', object())  # only tracking uses it

    def make(name, **options):
        file, overrides = KINDS[name]
        plain = tmp_path / f'{name}.py'
        plain.write_text(f"_base_ = 'mmdet::{file}'\nmodel = {overrides}\n")
        out = tmp_path / f'twin_{"_".join(options)}.py'
        compose(str(plain), out, TwinOptions(**options))
        twin = Config.fromfile(out)
        single = Config.fromfile(out)
        held = single.model.get('detector', single.model)
        held.update(type=held.pop('base'))
        held.pop('assistance')
        torch.manual_seed(0)
        models = [build_model(single.model), build_model(twin.model)]
        models[0].init_weights()
        models[1].load_state_dict(models[0].state_dict())
        return models

    return make


def step(model, name, seed=0):
    """Compute losses as training does; return them and a random number."""
    torch.manual_seed(seed)
    model.train()
    data = model.data_preprocessor(batch_for(name, 1), training=True)
    with DefaultScope.overwrite_default_scope('mmdet'):
        losses = model(**data, mode='loss')
    return losses, torch.rand(1)


ASSISTED = {
    'SoftTeacher': 'sup_assist0.loss_rpn_cls',
    'ByteTrack': 'assist0.loss_cls',
    'Mask2FormerVideo': 'assist0.loss_mask',
}


@pytest.mark.parametrize('name', ASSISTED)
def test_trains_with_assistance(name, make):
    plain, model = make(name)
    for seed in range(2):
        expected, drawn = step(plain, name, seed)
        found, again = step(model, name, seed)
        assert ASSISTED[name] in found
        for key, value in expected.items():
            torch.testing.assert_close(found[key], value, rtol=0, atol=0)
        assert torch.equal(drawn, again)
    model.parse_losses(found)[0].backward()
    for key, p in model.named_parameters():
        assert not p.requires_grad or p.grad is not None, key


@pytest.mark.parametrize('name', ['MaskTrackRCNN', 'QDTrack'])
def test_heads_that_are_called_from_outside(name, make):
    plain, model = make(name, at='model.detector')
    losses, _ = step(model, name)
    message = 'are never supervised, because the model that holds it computes'
    with pytest.raises(TypeError, match=message):
        model.parse_losses(losses)[0].backward()
    plain, model = make(name, weights=0)
    expected, found = step(plain, name)[0], step(model, name)[0]
    assert expected.keys() == found.keys()
    model.parse_losses(found)[0].backward()
