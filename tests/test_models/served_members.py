"""The backbones that are tried as members, and what is checked of each.

``python -m tests.test_models.served_members`` writes docs/members.md from
the rows that ``make members`` has left in build/members.
"""

import json
from pathlib import Path

import timm
import torch

from cbnet.errors import UserTypeError, UserValueError
from cbnet.models.members import HookedAdapter, TimmBackbone
from cbnet.testing import build_model

ROOT = Path(__file__).parents[2]
ROWS = ROOT / 'build' / 'members'
PAGE = ROOT / 'docs' / 'members.md'
LIST = (ROOT / 'tests' / 'data' / 'members_timm.txt').read_text().splitlines()
FAMILIES = dict(line.split('\t') for line in LIST if line[0] != '#')
# Small members of each kind, and of each layout, for every run of the tests.
FAST = (
    'resnet26t resnetaa50d skresnet18 regnety_002 hgnetv2_b0 darknet17 '
    'mobilenetv4_conv_small lcnet_050 ghostnet_050 rexnet_100 repghostnet_050 '
    'efficientvit_b0 edgenext_xx_small mobilevit_xxs convnextv2_atto '
    'pvt_v2_b0 xcit_nano_12_p16_224 tnt_s_patch16_224 mambaout_femto '
    'swiftformer_xs deit_tiny_patch16_224 vit_pe_spatial_tiny_patch16_512 '
    'efficientvim_m1 coat_tiny'
).split()
MMDET = {
    'PyramidVisionTransformer': dict(num_layers=[1, 1, 1, 1]),
    'PyramidVisionTransformerV2': dict(
        embed_dims=32, num_layers=[1, 1, 1, 1]
    ),
    'CSPDarknet': dict(widen_factor=0.25, deepen_factor=0.33),
    'CSPNeXt': dict(widen_factor=0.25, deepen_factor=0.33),
    'Darknet': {},
    'MobileNetV2': dict(widen_factor=0.5),
    'EfficientNet': dict(arch='b0', out_indices=(2, 3, 4, 5)),
    'DetectoRS_ResNet': dict(depth=50, base_channels=16),
    'DetectoRS_ResNeXt': dict(
        depth=50, base_channels=16, groups=4, base_width=4
    ),
    'ResNet': dict(depth=18),
    'ResNetV1d': dict(depth=18),
    'ResNeXt': dict(depth=50, base_channels=16, groups=4),
    'Res2Net': dict(depth=50, base_channels=16),
    'ResNeSt': dict(depth=50, base_channels=16, stem_channels=16),
    'RegNet': dict(arch='regnetx_400mf'),
    'SwinTransformer': dict(embed_dims=24, depths=(1, 1, 1, 1)),
    'TridentResNet': dict(
        depth=50, num_branch=3, test_branch_idx=1, trident_dilations=(1, 2, 3),
        num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1),
        out_indices=(2,),
    ),
    'HRNet': dict(
        extra={
            f'stage{i}': dict(
                num_modules=1, num_branches=i, block='BASIC',
                num_blocks=(1,) * i, num_channels=(8, 16, 32, 64)[:i],
            )
            for i in range(1, 5)
        }
    ),
    'SSDVGG': dict(
        depth=16, ceil_mode=True, out_indices=(3, 4),
        out_feature_indices=(22, 34),
    ),
}  # fmt: skip
HEADER = """# Members

`make members` writes this page: it tries every backbone of the list in
`tests/data/members_timm.txt`, and mmdet's, as both members of a composite.
{served} of {tried} are served. A timm model that is not in the list is tried
when it is built, and refused in one sentence if it cannot be a member; so is
every other backbone that returns a tuple of maps.

*Equal* means that the maps of a member without additions equal timm's or
mmdet's own, bit for bit; *order*, that a map added to a stage changes the maps
from that stage on, and no others; *trained*, that every parameter of a
composite of two has a gradient; *sizes*, that images of an odd size give maps
of the size that the strides say. The layout is that of the stage inputs.
Images are padded to a multiple, or up to the one size that the model is built
for (`img_size`).

| architecture | family | class | M | strides | layout | images | checked |
|---|---|---|---|---|---|---|---|
"""


def config_of(name):
    if name in MMDET:
        return dict(type=name, **MMDET[name])
    return dict(type='TimmBackbone', model_name=name)


def examine(name):
    """Try a backbone as both members; return the cells of its row."""
    family = FAMILIES.get(name, 'mmdet')
    cfg = dict(type='CompositeBackbone', member=config_of(name))
    torch.manual_seed(0)
    try:
        composite = build_model(dict(cfg, shared_stages=None))
    except (UserTypeError, UserValueError) as error:
        reason = str(error).rpartition('cannot be a member: ')[2]
        reason = reason.partition('. To serve')[0]
        kind = name if name in MMDET else str(error).partition('(')[2]
        kind = kind.partition(')')[0]
        return [name, family, kind, '', '', '', '', f'refused: {reason}']
    adapter = composite.adapters[0]
    backbone = adapter.backbone
    checked = []
    if isinstance(backbone, TimmBackbone):
        check_equality(name, backbone)
    if isinstance(adapter, HookedAdapter):
        checked += ['equal', 'order']
    sizes = getattr(backbone, 'sizes', None)
    check_training(composite, sizes)
    checked.append('trained')
    if isinstance(backbone, TimmBackbone):  # mmdet pads to multiples of 32
        check_sizes(backbone, adapter)
        checked.append('sizes')
    net = getattr(backbone, 'model', backbone)
    parameters = sum(p.numel() for p in backbone.parameters()) / 1e6
    layouts = ['NCHW']
    if isinstance(adapter, HookedAdapter):
        layouts = [e.layout.kind for e in adapter.anatomy.entries]
    return [
        name,
        family,
        type(net).__name__,
        f'{parameters:.1f}',
        ', '.join(str(spec.out_stride) for spec in adapter.specs),
        ', '.join(dict.fromkeys(layouts)),
        str(sizes or 'of any size'),
        ', '.join(checked),
    ]


def check_equality(name, backbone):
    """A TimmBackbone's maps are those of timm's own model."""
    dynamic = {}
    if 'dynamic_img_size' in str(vars(backbone.model)):
        dynamic = dict(dynamic_img_size=True)
    plain = timm.create_model(name, **dynamic).eval()
    plain.load_state_dict(backbone.model.state_dict(), strict=False)
    backbone.eval()
    image = torch.randn(1, 3, *backbone.sizes.probe)
    with torch.no_grad():
        expected = plain.forward_intermediates(
            image, output_fmt='NCHW', intermediates_only=True
        )
        found = backbone(image)
    for feature, y in zip(backbone.features, found, strict=True):
        assert torch.equal(expected[feature.index], y), feature


def check_training(composite, sizes):
    """Every trainable parameter has a finite gradient."""
    composite.train()
    for p in composite.connections.parameters():
        p.data = torch.randn(p.shape) * 0.01
    size = sizes.probe if sizes else (96, 128)
    images = torch.randn(2, 3, *size)
    pyramids = composite(images, all_members=True)
    losses = [
        (y / (y.detach().abs().max() + 1)).mean() for p in pyramids for y in p
    ]
    sum(losses).backward()
    for name, p in composite.named_parameters():
        assert not p.requires_grad or p.grad is not None, name


def check_sizes(backbone, adapter):
    """Maps of an image of an odd size have the size that strides say."""
    height, width = 131, 163
    backbone.eval()
    with torch.no_grad():
        maps = backbone(torch.randn(1, 3, height, width))
    for y, spec in zip(maps, adapter.specs, strict=True):
        assert y.shape[:2] == (1, spec.out_channels)
        for side, pixels in zip(y.shape[2:], (height, width), strict=True):
            # Convolutions without padding lose up to a few positions.
            assert -4 < side - pixels / spec.out_stride < 2


def page():
    """Make the text of docs/members.md from the rows in build/members."""
    names = [*MMDET, *FAMILIES]
    rows = [json.loads((ROWS / f'{name}.json').read_text()) for name in names]
    served = sum(not row[-1].startswith('refused') for row in rows)
    lines = [
        '| ' + ' | '.join(['`' + row[0] + '`', *row[1:]]) + ' |\n'
        for row in rows
    ]
    return HEADER.format(served=served, tried=len(rows)) + ''.join(lines)


if __name__ == '__main__':
    PAGE.write_text(page())
