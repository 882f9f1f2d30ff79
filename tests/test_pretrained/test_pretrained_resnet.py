"""Files of the ResNet family are loaded into mmdet's backbones.

1. torchvision's and timm's files, deep stems, ResNeXt, Res2Net, ResNeSt and
   RegNet give the same maps as the code that they come from;
2. members may have more than such files (deformable convolutions, plugins,
   what their class lists) or fewer stages; Caffe's files are served;
3. a file of another depth, width or kind is refused, with a description of
   both sides, and leaves the member unchanged; so is a file that lacks a
   single weight.
"""

import copy
import re

import pytest
import timm
import torch
import torchvision

from cbnet.testing import TINY_MEMBERS, build_model

from .pretrained_files import agree, load, member, seeded


def timm_maps(model, x):
    return model.forward_intermediates(x, intermediates_only=True)[1:]


def stage_maps(model, x):
    """Maps of torchvision's ResNets and RegNets."""
    maps = []
    if hasattr(model, 'trunk_output'):
        x, stages = model.stem(x), model.trunk_output
    else:
        x = model.maxpool(model.relu(model.bn1(model.conv1(x))))
        stages = [getattr(model, f'layer{i}') for i in range(1, 5)]
    for stage in stages:
        x = stage(x)
        maps.append(x)
    return maps


def timm_res2net():
    model = timm.create_model('res2net50d')
    # Deviation of mmdet's: the first block of the first stage does not pool.
    model.layer1[0].pool = torch.nn.Identity()
    return model


DEEP = dict(depth=50, base_channels=64, stem_channels=64)
CASES = {
    'torchvision': (
        torchvision.models.resnet18,
        dict(type='ResNet', depth=18),
        'its own names',
    ),
    'timm': (
        lambda: timm.create_model('resnet18'),
        dict(type='ResNet', depth=18),
        'its own names',
    ),
    'timm, deep stem': (
        lambda: timm.create_model('resnet18d'),
        dict(type='ResNetV1d', depth=18),
        "timm's deep stem",
    ),
    'ResNeXt': (
        torchvision.models.resnext50_32x4d,
        dict(type='ResNeXt', depth=50, groups=32, base_width=4),
        'its own names',
    ),
    'Res2Net': (
        timm_res2net,
        dict(type='Res2Net', depth=50, scales=4, base_width=26),
        "timm's deep stem",
    ),
    'ResNeSt': (
        lambda: timm.create_model('resnest50d'),
        dict(type='ResNeSt', **DEEP),
        "timm's deep stem",
    ),
    'RegNet, timm': (
        lambda: timm.create_model('regnetx_004'),
        dict(type='RegNet', arch='regnetx_400mf'),
        "timm's RegNet",
    ),
    'RegNet, torchvision': (
        torchvision.models.regnet_x_800mf,
        dict(type='RegNet', arch='regnetx_800mf'),
        "torchvision's RegNet",
    ),
}


@pytest.mark.parametrize('name', CASES)
def test_the_maps_are_those_of_the_source(name):
    make, cfg, layout = CASES[name]
    model, backbone = seeded(make()), member(cfg)
    report = load(backbone, {'state_dict': model.state_dict()})
    x = torch.randn(1, 3, 64, 64).double()
    with torch.no_grad():
        maps = stage_maps if 'torchvision' in make.__module__ else timm_maps
        agree(backbone(x), maps(model, x))
    assert report.layout == layout
    assert set(report.loaded) == set(backbone.state_dict())
    assert report.new == report.resized == report.shared == ()
    assert {n.rpartition('.')[0] for n in report.ignored} <= {'fc', 'head.fc'}
    assert bool(report.renamed) == (layout != 'its own names')


@pytest.fixture
def weights():
    return member(TINY_MEMBERS['resnet'], seed=2).state_dict()


def test_children_in_a_sequential(weights):
    """``Sequential(*model.children())``, as SimCLR codes have it."""
    numbers = dict(
        conv1='0', bn1='1', layer1='4', layer2='5', layer3='6', layer4='7'
    )
    file = {}
    for name, value in weights.items():
        first, _, rest = name.partition('.')
        file[f'encoder.{numbers[first]}.{rest}'] = value
    backbone = member(TINY_MEMBERS['resnet'])
    report = load(backbone, file)
    assert report.layout == 'children in a Sequential'
    assert report.path == 'encoder.'
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, weights[name])


def test_deformable_convolutions_are_new():
    plain = dict(TINY_MEMBERS['res2net'])
    cfg = dict(
        plain,
        dcn=dict(type='DCNv2', deform_groups=1, fallback_on_stride=False),
        stage_with_dcn=(False, True, True, True),
    )
    backbone = member(cfg)
    file = member(plain, seed=2).state_dict()
    report = load(backbone, file)
    offsets = {n for n in backbone.state_dict() if '.conv_offset.' in n}
    assert offsets and set(report.new) == offsets
    assert set(report.loaded) == set(file)
    with pytest.raises(ValueError, match='The file: .*, deformable conv'):
        load(member(plain), backbone.state_dict())


def test_plugins_are_new():
    plain = TINY_MEMBERS['resnet_bottleneck']
    cfg = dict(
        plain,
        plugins=[
            dict(
                cfg=dict(type='ContextBlock', ratio=1.0 / 4),
                stages=(False, True, False, False),
                position='after_conv3',
            )
        ],
    )
    backbone = member(cfg)
    report = load(backbone, member(plain, seed=2).state_dict())
    assert report.new and all('context_block' in n for n in report.new)
    assert {n.partition('.')[0] for n in report.new} == {'layer2'}


def test_what_a_class_lists_is_new(weights):
    backbone = member(TINY_MEMBERS['resnet'])
    backbone.gate = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r'lacks 2 \(gate.weight, gate.bias'):
        load(backbone, weights)
    backbone.not_in_pretrained = (r'^gate\.',)
    assert load(backbone, weights).new == ('gate.weight', 'gate.bias')


def test_fewer_stages(weights):
    cfg = dict(
        TINY_MEMBERS['resnet'],
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
    )
    report = load(member(cfg), weights)
    assert all(n.startswith('layer4.') for n in report.ignored)
    assert set(report.loaded) == set(weights) - set(report.ignored)


def test_files_of_other_times(weights):
    """Caffe's bias, no counters, counters of a profiler."""
    file = {k: v for k, v in weights.items() if 'num_batches' not in k}
    file['conv1.bias'] = torch.ones(8)
    file['layer1.0.conv1.total_ops'] = torch.zeros(1)
    report = load(member(TINY_MEMBERS['resnet']), file)
    assert report.ignored == ('conv1.bias', 'layer1.0.conv1.total_ops')
    assert report.new == ()


def net(depth, kind='ResNet', **options):
    """A narrow network; names and proportions are torchvision's."""
    return dict(type=kind, depth=depth, **dict(base_channels=8) | options)


GROUPED = net(50, 'ResNeXt', groups=2, base_width=4)
FILES = {
    'R18': lambda: build_model(net(18)).state_dict(),
    'R34': lambda: build_model(net(34)).state_dict(),
    'R50': lambda: build_model(net(50)).state_dict(),
    'R101': lambda: build_model(net(101)).state_dict(),
    'X50': lambda: build_model(GROUPED).state_dict(),
    'ViT': lambda: timm.create_model('test_vit').state_dict(),
    'ConvNeXt': lambda: timm.create_model('test_convnext').state_dict(),
    'unknown': lambda: {'a.weight': torch.ones(1), 'a.bias': torch.ones(1)},
}
OF_50 = 'bottlenecks with depths (3, 4, 6, 3)'


@pytest.mark.parametrize(
    ('file', 'cfg', 'messages'),
    [
        ('R101', net(50), [
            'The file: a ResNet of bottlenecks with depths (3, 4, 23, 3)',
            f'The member: a ResNet of {OF_50}',
            'The member lacks 255 (layer*.*.conv1.weight x17, ']),
        ('R50', net(101), ['The file lacks 255']),
        ('R50', net(50, 'Res2Net'), [
            f'The file: a ResNet of {OF_50}',
            'The member: a Res2Net with depths (3, 4, 6, 3), deep stem']),
        ('R34', net(50), ['of basic blocks']),
        ('R18', net(18, base_channels=16), [
            'differ in shape', 'channels in layer4']),
        ('R18', net(18, in_channels=4), [
            '1 differs in shape (conv1.weight (8, 3, 7, 7) instead of '
            '(8, 4, 7, 7))',
            'images of 3 channels, the member of 4 (in_channels)']),
        ('R50', net(50, 'ResNetV1d'), [
            'he file lacks 31 (stem.*.weight x6', 'member: a ResNet of '
            f'{OF_50}, deep stem']),
        ('X50', net(50), ['differ in shape']),
        ('ViT', net(50), [
            'The file: a plain vision transformer',
            'The file and the member share almost no names. Give']),
        ('ConvNeXt', net(50), ['a ConvNeXt of timm']),
        ('unknown', net(50), [
            'The file: unknown weights (state_dict.a.weight,']),
        ('R18', TINY_MEMBERS['swin'], ['The file: a ResNet of basic blocks',
            'The member: a Swin with depths (1, 2, 2, 1)']),
        ('R18', TINY_MEMBERS['timm_convnext'], ['a ResNet of basic blocks',
            'The member: a ConvNeXt of timm']),
    ],
)  # fmt: skip
def test_another_architecture_is_refused(file, cfg, messages):
    backbone = member(cfg)
    before = copy.deepcopy(backbone.state_dict())
    kind = cfg['type']
    with pytest.raises(ValueError, match=f'does not fit {kind}') as error:
        load(backbone, {'state_dict': FILES[file]()}, source='other.pth')
    text = str(error.value)
    assert text.startswith("checkpoint='other.pth' does not fit")
    for message in messages:
        assert message in text
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_single_missing_weight_is_refused(weights):
    del weights['layer4.1.bn2.bias']
    message = re.escape('The file lacks 1 (layer4.1.bn2.bias).')
    with pytest.raises(ValueError, match=message):
        load(member(TINY_MEMBERS['resnet']), weights)
