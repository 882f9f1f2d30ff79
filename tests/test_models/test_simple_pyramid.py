"""The simple feature pyramid and detectors of plain ViTs.

1. strides, channels and the number of maps; every weight has a gradient;
2. a stride that cannot be reached is an error that says so;
3. configs/extensions/dual_vit.py is short, and trains with a small ViT;
4. composites of odd pairs train for two steps in Mask R-CNN.
"""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config

from cbnet.models.necks import SimpleFeaturePyramid
from cbnet.testing import build_model, make_batch, tiny_detector

CONFIG = Path(__file__).parents[2] / 'configs' / 'extensions' / 'dual_vit.py'


def timm(name, **arguments):
    return dict(type='TimmBackbone', model_name=name, **arguments)


#: assistant and lead
PAIRS = {
    'PE ViT, RegNet': (
        timm('vit_pe_spatial_tiny_patch16_512', depth=4),
        timm('regnetx_002'),
    ),
    'MaxViT, PVTv2': (
        timm('maxvit_rmlp_pico_rw_256', img_size=64),
        timm('pvt_v2_b0'),
    ),
    'Swin, MobileNetV2': (
        timm(
            'swin_tiny_patch4_window7_224',
            embed_dim=12,
            depths=(1, 1, 1, 1),
            num_heads=(1, 1, 2, 2),
        ),
        dict(type='MobileNetV2', widen_factor=0.25),
    ),
    'Hiera, MambaOut': (
        timm(
            'hiera_tiny_224', embed_dim=16, stages=(1, 1, 1, 1),
            num_heads=1, img_size=128,
        ),
        timm('mambaout_femto'),
    ),
    'ConvNeXt, ViT with registers': (
        timm('test_convnext'),
        timm('vit_tiny_patch16_224', depth=4, reg_tokens=4),
    ),
}  # fmt: skip


def test_maps_of_the_pyramid():
    neck = SimpleFeaturePyramid([24] * 4, 8)
    maps = neck([None, None, None, torch.randn(2, 24, 6, 8)])
    shapes = [tuple(y.shape) for y in maps]
    sides = [(24, 32), (12, 16), (6, 8), (3, 4), (2, 2)]
    assert shapes == [(2, 8, *side) for side in sides]
    sum(y.square().mean() for y in maps).backward()
    assert all(p.grad.abs().max() > 0 for p in neck.parameters())


def test_a_larger_stride_is_pooled_by_maximum():
    neck = SimpleFeaturePyramid([6], 8)
    *_, plain, pooled = neck.levels  # strides 16 and 32
    for own, same in zip([*pooled][1:], plain, strict=True):
        own.load_state_dict(same.state_dict())
    x = torch.randn(1, 6, 4, 6)
    assert torch.equal(pooled(x), plain(F.max_pool2d(x, 2)))


def test_strides_of_other_patches():
    neck = SimpleFeaturePyramid(8, 8, stride=14, strides=(7, 14, 28))
    maps = neck([torch.randn(1, 8, 4, 6)])
    assert [y.shape[-1] for y in maps] == [12, 6, 3, 2, 1]
    with pytest.raises(ValueError, match='holds 4; expected stride=14 times'):
        SimpleFeaturePyramid(8, 8, stride=14)


def train(backbone, **neck):
    """Train Mask R-CNN for two steps; every loss stays finite."""
    cfg = tiny_detector('MaskRCNN', backbone)
    channels = [
        s.out_channels for s in build_model(backbone).adapters[-1].specs
    ]
    cfg['neck'] = dict(cfg['neck'], in_channels=channels) | neck
    cfg['neck'].update(out_channels=8)
    detector = build_model(cfg).train()
    optimizer = torch.optim.SGD(detector.parameters(), 1e-3)
    for seed in range(2):
        batch = make_batch(seed=seed)
        losses = detector(
            **detector.data_preprocessor(batch, True), mode='loss'
        )
        loss, _ = detector.parse_losses(losses)
        assert loss.isfinite()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return detector


@pytest.mark.parametrize('pair', PAIRS)
def test_odd_pairs_train(pair):
    member = list(PAIRS[pair])
    backbone = dict(
        type='CompositeBackbone', member=member, shared_stages=None
    )
    plain = 'ViT' in pair.partition(',')[2]
    neck = dict(type='SimpleFeaturePyramid') if plain else {}
    detector = train(backbone, **neck)
    before = build_model(backbone).connections
    moved = [
        not torch.equal(p, q)
        for p, q in zip(
            detector.backbone.connections.parameters(),
            before.parameters(),
            strict=True,
        )
    ]
    assert any(moved)


def test_the_config_of_a_dual_vit():
    assert len(CONFIG.read_text().splitlines()) <= 20
    cfg = Config.fromfile(CONFIG).model
    assert cfg.type == 'AssistedDetector' and cfg.base == 'MaskRCNN'
    backbone = cfg.backbone.to_dict()
    backbone['member'].update(model_name='test_vit')
    detector = train(backbone, **cfg.neck.to_dict() | dict(in_channels=64))
    assert detector.backbone.num_members == 2
