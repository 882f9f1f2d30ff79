"""What can be an assistant.

1. The table of presets agrees with timm's: the name of each model and its
   weights, statistics, licence, patch and blocks; the default's licence is
   free.
2. A preset takes a file in timm's published names, completely, and gives
   four stages, or three beside a lead with three.
3. A pyramid network gets the stages of its lead, also without the first.
4. Patches of 14 pixels are resized to line up with the lead's positions.
5. It sees its own image statistics where they differ from the detector's.
6. Every other name is one sentence with near ones.
"""

import pytest
import timm
import torch

from cbnet.errors import UserValueError
from cbnet.pretrained import load_into
from cbnet.twins.assistants import find_assistant, with_weights
from cbnet.twins.fitting import (
    UpgradeOptions,
    adapted,
    fitted,
    member_settings,
    preprocessing,
)
from cbnet.twins.presets import DEFAULT, PRESETS

RESNET = dict(type='ResNet', depth=18, base_channels=8)
THREE = dict(  # strides 8, 16 and 32
    type='CSPNeXt', deepen_factor=0.1, widen_factor=0.0625,
    norm_cfg=dict(type='BN'),
)  # fmt: skip


@pytest.mark.parametrize('name', PRESETS)
def test_the_table_is_that_of_timm(name):
    preset = PRESETS[name]
    base, _, tag = preset.model.partition('.')
    assert preset.model in timm.list_pretrained(f'{base}*')
    cfg = timm.get_pretrained_cfg(preset.model)
    assert cfg.license == preset.licence and cfg.tag == tag
    assert (cfg.mean, cfg.std) == preset.statistics
    assistant = find_assistant(name)
    assert assistant.licence == preset.licence
    assert assistant.init_cfg['checkpoint'] == f'timm://{preset.model}'
    means = [255 * x for x in preset.statistics[0]]
    assert assistant.statistics.mean == pytest.approx(means)
    assert PRESETS[DEFAULT].licence == 'apache-2.0'


@pytest.mark.parametrize('name', ['dinov2-s', 'clip-b'])
def test_files_in_published_names(name):
    preset = PRESETS[name]
    adapter = adapted(dict(find_assistant(name).backbone), name)
    blocks = [feature.index for feature in adapter.backbone.features]
    assert tuple(blocks) == preset.layers
    assert {spec.out_stride for spec in adapter.specs} == {preset.patch}
    with torch.device('meta'):
        file = timm.create_model(preset.model).state_dict()
    file = {n: torch.zeros(w.shape, device='meta') for n, w in file.items()}
    report = load_into(
        adapter.backbone, file, {*adapter.backbone.state_dict()}, 'file'
    )
    assert not report.new and not report.unfit
    assert all(
        n.split('.')[0] in ('norm', 'head', 'neck', 'fc_norm')
        for n in report.ignored
    )


@pytest.mark.parametrize(
    ('lead', 'name'),
    [(RESNET, 'test_vit'), (THREE, 'test_vit'), (THREE, 'test_convnext')],
)
def test_an_assistant_gets_the_stages_of_its_lead(lead, name):
    adapter = adapted(dict(lead), 'lead')
    cfg, _ = fitted(find_assistant(name), adapter)
    found = adapted(cfg, name)
    assert len(found.specs) == len(adapter.specs)
    assert found.out_indices == adapter.out_indices
    if name == 'test_convnext':
        strides = [spec.out_stride for spec in adapter.specs]
        assert [spec.out_stride for spec in found.specs] == strides


def test_the_backbone_of_a_config(tmp_path):
    name = 'mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py'
    assistant = find_assistant(name)
    assert assistant.backbone['type'] == 'SwinTransformer'
    assert assistant.init_cfg['type'] == 'Pretrained'
    assert assistant.statistics.mean == pytest.approx(
        (123.675, 116.28, 103.53)
    )
    lead = adapted(dict(RESNET, out_indices=(1, 2, 3)), 'lead')
    cfg, _ = fitted(assistant, lead)
    assert cfg['out_indices'] == (1, 2, 3)
    own = tmp_path / 'backbone.py'
    own.write_text(f'backbone = {RESNET}\n')
    assert find_assistant(str(own)).backbone == RESNET
    with pytest.raises(UserValueError, match='give its pretrained file with'):
        with_weights(find_assistant(str(own)), None)
    own.write_text('member = 1\n')
    with pytest.raises(UserValueError, match='neither model.backbone nor'):
        find_assistant(str(own))


@pytest.mark.parametrize(
    ('name', 'given', 'scale'),
    [
        ('dinov2-s', None, 1.0),
        ('dinov2-s', 0.5, 0.5),
        ('clip-b', None, None),
        ('test_convnext', None, None),
    ],
)
def test_positions_line_up_without_a_scale_too(name, given, scale):
    lead, options = adapted(dict(RESNET), 'lead'), UpgradeOptions(scale=given)
    found = member_settings(find_assistant(name), lead, {}, options)
    assert found.get('scale') == scale


def test_images_are_normalised_as_the_assistant_needs():
    imagenet = dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    )  # fmt: skip
    caffe = dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0])
    vit, clip = find_assistant('dinov2-s'), find_assistant('clip-b')
    swin = find_assistant('mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py')
    assert preprocessing(vit, imagenet) is None
    assert preprocessing(swin, imagenet) is None
    assert preprocessing(clip, imagenet) == 'timm'
    assert preprocessing(vit, dict(imagenet, bgr_to_rgb=False)) == 'timm'
    assert preprocessing(vit, {}) == 'timm'
    assert preprocessing(swin, caffe) == 'imagenet'
    caffe_net = find_assistant(
        'mmdet::faster_rcnn/faster-rcnn_r50-caffe_fpn_1x_coco.py'
    )
    assert preprocessing(caffe_net, imagenet) == dict(
        mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], rgb=False
    )


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('dinov2-x', "did you mean 'dinov2-s' or 'dinov2-b'"),
        ('convnext_tinny', "did you mean 'convnext_tiny"),
        ('convnext_tiny.dinov3', "'convnext_tiny.dinov3_lvd1689m'"),
        ('gone.py', 'no config file gone.py'),
    ],
)
def test_unknown_names(name, words):
    with pytest.raises(UserValueError, match=words):
        find_assistant(name)


def test_an_assistant_with_too_few_stages():
    three = dict(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1))
    lead = adapted(dict(RESNET, **three, out_indices=(0, 1, 2)), 'lead')
    words = r'has 4 stages with the strides \[4, 8, 16, 32\], .* has 3 with'
    with pytest.raises(UserValueError, match=words):
        fitted(find_assistant('test_convnext'), lead)


def test_a_backbone_that_is_not_served():
    with pytest.raises(UserValueError, match='SSDVGG cannot be a member'):
        adapted(dict(type='SSDVGG', depth=16), 'plain.py')
