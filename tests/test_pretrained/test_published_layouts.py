"""Files in the names of PaddleClas, CVNets and SimCLRv2 reach a member.

1. a file in the published names, made from a backbone of random weights, is
   loaded through ``init_cfg`` completely: every tensor and every map are the
   backbone's; what is left over is accounted for;
2. CVNets's own stem is computed exactly by timm's ResNet with a learnt pool;
3. files of a dict of numpy arrays and of safetensors are served; Paddle's own
   files, and networks that no member computes, are refused in one sentence.
"""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from cbnet.errors import BrokenCheckpointError, UserValueError
from cbnet.pretrained import init_member

from .pretrained_files import SWIN, agree, load, member
from .published_names import (
    cvnets_resnet,
    paddle_hgnet,
    paddle_resnet,
    simclr_v2,
)


def net(kind, depth, **options):
    return dict(type=kind, depth=depth, base_channels=4, **options)


def small(name, **options):
    """A ResNet of timm with few blocks and channels."""
    return dict(
        type='TimmBackbone',
        model_name=name,
        layers=(2, 1, 3, 1),
        channels=(4, 8, 16, 32),
        **options,
    )


R50D = small('resnet50d', stem_width=4)
PADDLE, HGNET = "PaddleClas's ResNet", "PaddleClas's HGNet"
CVNETS, SIMCLR = "CVNets's ResNet", 'SimCLRv2, converted from TensorFlow'


def as_mmdet(weights):
    """Give timm's deep stem mmdet's names."""
    named = {n.removeprefix('model.'): w for n, w in weights.items()}
    stem = [f'conv1.{i}.' for i in range(7)] + ['bn1.']
    for name in list(named):
        for place, start in enumerate(stem):
            if name.startswith(start):
                rest = name.removeprefix(start)
                named[f'stem.{place}.{rest}'] = named.pop(name)
    return named


def of_timm(make):
    return lambda weights: make(
        {name.removeprefix('model.'): w for name, w in weights.items()}
    )


def bare_blocks(weights):
    return cvnets_resnet(weights, block='')


CASES = {
    'ResNet50_vd': (
        net('ResNetV1d', 50, stem_channels=4),
        paddle_resnet,
        PADDLE,
    ),
    'ResNet101_vd': (
        net('ResNetV1d', 101, stem_channels=4),
        paddle_resnet,
        PADDLE,
    ),
    'ResNet50_vd, timm': (R50D, lambda w: paddle_resnet(as_mmdet(w)), PADDLE),
    'ResNet50': (net('ResNet', 50), paddle_resnet, PADDLE),
    'PPHGNet': (
        dict(type='TimmBackbone', model_name='hgnet_tiny'),
        of_timm(paddle_hgnet),
        HGNET,
    ),
    'PPHGNetV2': (
        dict(type='TimmBackbone', model_name='hgnetv2_b0'),
        of_timm(paddle_hgnet),
        HGNET,
    ),
    'CVNets 50': (net('ResNet', 50), cvnets_resnet, CVNETS),
    'CVNets 50, bare': (net('ResNet', 50), bare_blocks, CVNETS),
    'CVNets 18': (net('ResNet', 18), cvnets_resnet, CVNETS),
    'SimCLRv2': (net('ResNet', 50), simclr_v2, SIMCLR),
    'SimCLRv2, 3x': (
        dict(type='ResNet', depth=50, base_channels=12),
        simclr_v2,
        SIMCLR,
    ),
}


def init_from(cfg, path):
    backbone = member(cfg)
    backbone.init_cfg = dict(type='Pretrained', checkpoint=str(path))
    names = frozenset(backbone.state_dict())
    return backbone, init_member(backbone, names, 'alone')


@pytest.mark.parametrize('name', CASES)
def test_published_names(name, tmp_path):
    cfg, make, layout = CASES[name]
    source = member(cfg, seed=2)
    weights = source.state_dict()
    file = make(weights)
    torch.save(file, tmp_path / 'net.pth')
    backbone, report = init_from(cfg, tmp_path / 'net.pth')
    for key, value in backbone.state_dict().items():
        if not key.endswith('num_batches_tracked'):
            assert torch.equal(value, weights[key]), key
    x = torch.randn(1, 3, 64, 64).double()
    with torch.no_grad():
        agree(backbone(x), source(x))
    assert report.layout == layout
    assert report.renamed and report.new == report.shared == ()
    left = {n.partition('.')[0] for n in report.ignored}
    assert left <= {'fc', 'classifier'}
    assert report.outside == ('head' in file)


def test_the_stem_of_cvnets(tmp_path):
    cfg = small('resnet50', replace_stem_pool=True)
    source = member(cfg, seed=2)
    named = {
        name.removeprefix('model.'): value
        for name, value in source.state_dict().items()
    }
    generator = torch.Generator().manual_seed(3)
    shapes = {'conv1.weight': (64, 3, 3, 3), 'maxpool.0.weight': (64, 1, 3, 3)}
    for name, shape in shapes.items():
        named[name] = torch.randn(shape, generator=generator).double()
    torch.save(cvnets_resnet(named), tmp_path / 'net.pt')
    backbone, report = init_from(cfg, tmp_path / 'net.pt')
    assert report.layout == CVNETS and report.new == ()
    # The same in plain operations.
    image = torch.randn(2, 3, 57, 64).double()
    x = image
    for convolution, norm, groups in (
        ('conv1', 'bn1', 1),
        ('maxpool.0', 'maxpool.1', 64),
    ):
        kernel = named[f'{convolution}.weight']
        x = F.conv2d(x, kernel, stride=2, padding=1, groups=groups)
        own = [named[f'{norm}.{leaf}'] for leaf in
               ('running_mean', 'running_var', 'weight', 'bias')]  # fmt: skip
        x = F.relu(F.batch_norm(x, *own))
    expected = []
    with torch.no_grad():
        for i in range(1, 5):
            x = getattr(source.model, f'layer{i}')(x)
            expected.append(x)
        agree(backbone(image), expected)
    with pytest.raises(UserValueError, match='net.pt.*replace_stem_pool=True'):
        init_from(net('ResNet', 50), tmp_path / 'net.pt')
    with pytest.raises(UserValueError, match='The file: a ResNet of bottlen'):
        init_from(SWIN, tmp_path / 'net.pt')


def test_a_file_of_another_width(tmp_path):
    """SimCLRv2's 2x in a member of 1x."""
    wide = member(dict(type='ResNet', depth=50, base_channels=8))
    torch.save(simclr_v2(wide.state_dict()), tmp_path / 'r50_2x_sk0.pth')
    with pytest.raises(UserValueError) as error:
        init_from(net('ResNet', 50), tmp_path / 'r50_2x_sk0.pth')
    assert '64 channels in layer4' in str(error.value)
    assert '32 channels in layer4' in str(error.value)


def test_the_first_projection_of_basic_blocks(tmp_path):
    """PaddleClas's ResNet18 and 34 project where no member does."""
    cfg = net('ResNetV1d', 18, stem_channels=4)
    file = paddle_resnet(member(cfg).state_dict())
    load(member(cfg), file)
    file['blocks.0.short.conv.weight'] = torch.zeros(4, 4, 1, 1)
    for leaf in ('weight', 'bias', '_mean', '_variance'):
        file[f'blocks.0.short.bn.{leaf}'] = torch.zeros(4)
    with pytest.raises(UserValueError, match=r'lacks 5 .*layer1.0.downsample'):
        load(member(cfg), file)


def test_arrays_and_safetensors(tmp_path):
    """Both ways to convert a file of Paddle that the docs show."""
    cfg = net('ResNetV1d', 50, stem_channels=4)
    weights = member(cfg, seed=2).state_dict()
    file = {n: w.contiguous() for n, w in paddle_resnet(weights).items()}
    save_file(file, tmp_path / 'net.safetensors')
    arrays = {name: w.numpy() for name, w in file.items()}
    name = 'blocks.0.conv0.conv.weight'
    arrays[name] = np.asfortranarray(arrays[name]).astype('>f8')
    torch.save(arrays, tmp_path / 'net.pth')
    for path in ('net.safetensors', 'net.pth'):
        backbone, _ = init_from(cfg, tmp_path / path)
        for key, value in backbone.state_dict().items():
            if not key.endswith('num_batches_tracked'):
                assert torch.equal(value, weights[key]), key


def test_a_file_of_another_kind():
    """Both sides are described, though their names are foreign."""
    weights = member(CASES['PPHGNetV2'][0]).state_dict()
    file = of_timm(paddle_hgnet)(weights)
    message = r'The file: an HGNet with depths \(1, 1, 2, 1\). The member: a R'
    with pytest.raises(UserValueError, match=message):
        load(member(net('ResNet', 50)), file)


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        (np.full((2, 2), np.nan, 'f4'), '1 of 2 weights hold nan'),
        (np.ones((2, 2), 'i4'), 'a.weight holds int32'),
        (np.array(['x']), 'it holds no weights'),
        (np.ones(2, np.longdouble), 'it holds no weights'),
    ],
)
def test_arrays_pass_the_checks_of_weights(value, message, tmp_path):
    arrays = {'a.weight': value, 'a.bias': np.zeros(2, 'f4')}
    torch.save(arrays, tmp_path / 'net.pth')
    with pytest.raises(BrokenCheckpointError, match=message):
        init_from(net('ResNet', 18), tmp_path / 'net.pth')


def test_a_file_of_paddle_is_refused(tmp_path):
    (tmp_path / 'net.pdparams').write_bytes(b'\x80\x02}.')
    message = re.escape('docs/pretrained.md#files-of-other-frameworks')
    with pytest.raises(UserValueError, match=f'net.pdparams.*{message}'):
        init_from(net('ResNetV1d', 50), tmp_path / 'net.pdparams')


def selective(weights):
    """SimCLRv2's names with a selective kernel in each block."""
    file = simclr_v2(weights)['resnet']
    for name in list(file):
        if '.net.2.' in name:
            main = name.replace('.net.2.', '.net.2.main_conv.0.')
            file[main] = file.pop(name)
    return {'resnet': file}


def vit_resnas(weights):
    names = ('pos_embed', 'tokens', 'blocks.0.attn.qkv.weight')
    names += ('blocks.4.patch_reduce.weight', 'blocks.4.pos_embed')
    file = {name: torch.zeros(2, 2) for name in names}
    return {'model': file, 'model_ema': dict(file)}


@pytest.mark.parametrize(
    ('make', 'message'),
    [(selective, '_sk1'), (vit_resnas, 'a ViT-ResNAS, .*no member computes')],
)
@pytest.mark.parametrize('cfg', [net('ResNet', 50), SWIN])
def test_what_no_member_computes(make, message, cfg, tmp_path):
    file = make(member(net('ResNet', 50)).state_dict())
    torch.save(file, tmp_path / 'net.pth')
    with pytest.raises(UserValueError, match=f'net.pth.*{message}'):
        init_from(cfg, tmp_path / 'net.pth')
