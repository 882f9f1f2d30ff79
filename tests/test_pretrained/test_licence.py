"""The log names the licence and the source of timm's weights.

1. ``timm://NAME``, timm's addresses and ``TimmBackbone(pretrained=True)``
   give what timm's config says, for every licence that restricts the use of
   a model;
2. for a local file, they are said to be those of the model's tag, if the name
   of the model has one;
3. for other files, and where timm does not know the licence, nothing is said.
"""

import logging

import pytest
import timm
import torch
from mmengine.logging import MMLogger

from cbnet.models.members.timm import TimmBackbone
from cbnet.pretrained import init_member
from cbnet.pretrained.licence import licence_of
from cbnet.testing import TINY_MEMBERS, build_model, tiny_composite

NAME = 'test_resnet.r160_in1k'
TEXT = f'(licence apache-2.0, from timm/{NAME})'


@pytest.fixture
def offline(monkeypatch):
    """Let timm create models with random weights instead of its own."""
    create = timm.create_model
    monkeypatch.setattr(
        timm,
        'create_model',
        lambda name, pretrained=False, **options: create(name, **options),
    )


@pytest.fixture
def lines(caplog):
    logger = MMLogger.get_current_instance()
    caplog.set_level(logging.INFO)
    logger.addHandler(caplog.handler)
    yield lambda: [record.getMessage() for record in caplog.records]
    logger.removeHandler(caplog.handler)


@pytest.mark.parametrize(
    ('name', 'licence'),
    [
        ('vit_small_patch16_dinov3.lvd1689m', 'dinov3-license'),
        (
            'convnext_small.eupe_lvd1689m',
            'fair-noncommercial-research-license',
        ),
        ('hgnet_tiny.ssld_in1k', 'apache-2.0'),
        ('hgnetv2_b0.ssld_stage2_ft_in1k', 'apache-2.0'),
    ],
)
def test_names_of_timm(name, licence):
    text = f'licence {licence}, from timm/{name}'
    assert licence_of(f'timm://{name}') == text


def test_a_name_without_a_tag():
    """It stands for the weights that timm takes by default."""
    text = 'licence apache-2.0, from timm/resnet18.a1_in1k'
    assert licence_of('timm://resnet18') == text


def test_addresses_of_timms_own_weights():
    backbone = build_model(TINY_MEMBERS['timm_resnet'])
    config = backbone.model.pretrained_cfg
    hub = f'https://hub.example/timm/{NAME}/resolve/main/model.safetensors'
    assert f'({licence_of(hub, backbone)})' == TEXT
    config['url'] = 'https://files.example/net.pth'
    assert f'({licence_of(config["url"], backbone)})' == TEXT
    config['hf_hub_id'] = None
    text = 'licence apache-2.0, from https://files.example/net.pth'
    assert licence_of(config['url'], backbone) == text


@pytest.mark.parametrize(
    'source',
    [
        '',
        'net.pth',
        f'timm/{NAME}/net.pth',
        'https://hub.example/timm/test_resnet.other/net.pth',
        'timm://no_such_model',
        'timm://resnet50_mlp',  # has neither weights nor a licence
    ],
)
def test_nothing_is_invented(source):
    backbone = build_model(TINY_MEMBERS['timm_resnet'])
    assert licence_of(source, backbone) == ''
    assert licence_of(source, build_model(TINY_MEMBERS['resnet'])) == ''


@pytest.mark.parametrize('licence', [None, '', 'unknown'])
def test_an_unknown_licence(licence):
    backbone = build_model(TINY_MEMBERS['timm_resnet'])
    backbone.model.pretrained_cfg['license'] = licence
    hub = f'https://hub.example/timm/{NAME}/resolve/main/model.safetensors'
    assert licence_of(hub, backbone) == ''


def test_the_line_of_a_member(offline, lines, tmp_path):
    cfg = tiny_composite('timm_resnet')
    checkpoint = dict(type='Pretrained', checkpoint=f'timm://{NAME}')
    cfg['member']['init_cfg'] = checkpoint
    build_model(cfg).init_weights()
    said = [line for line in lines() if line.startswith('member')]
    assert len(said) == 2
    assert not any(line.startswith('loaded') for line in lines())
    for line in said:
        assert f'entries of timm://{NAME} {TEXT}; renamed 0; ' in line
    backbone = build_model(TINY_MEMBERS['timm_resnet'])
    torch.save(backbone.model.state_dict(), tmp_path / 'net.pth')
    checkpoint['checkpoint'] = str(tmp_path / 'net.pth')
    backbone.init_cfg = checkpoint
    names = frozenset(backbone.state_dict())
    assert init_member(backbone, names, 'alone').licence == ''


def test_a_local_file_of_a_model_with_a_tag(offline, lines, tmp_path):
    file = tmp_path / 'net.pth'
    backbone = TimmBackbone(
        NAME, init_cfg=dict(type='Pretrained', checkpoint=str(file))
    )
    torch.save(backbone.model.state_dict(), file)
    backbone.init_weights()
    assert (
        f'net.pth (timm lists for {NAME}: {TEXT[1:]}; renamed' in lines()[-1]
    )
    assert licence_of('', backbone) == ''
    # An address says itself what it holds.
    other = 'https://hub.example/timm/test_resnet.other/net.pth'
    assert licence_of(other, backbone) == ''


def test_the_line_of_timms_own_loading(offline, lines):
    TimmBackbone('test_resnet')
    assert not lines()
    TimmBackbone('test_resnet', pretrained=True)
    TimmBackbone('resnet50_mlp', pretrained=True)
    assert lines() == [
        f'loaded timm://test_resnet {TEXT}',
        'loaded timm://resnet50_mlp (timm names no licence)',
    ]
