"""Composites of ViTs after CB-EVA-02 (configs/extensions/dual_eva02_*.py).

The published code: the first ViT is cut after some blocks; the second one has
no patch embedding of its own, starts from the embedded tokens of the first
one, and a 1x1 convolution of the first one's output is added at each cut.

1. the cuts, strides and connections are the published ones, and the number of
   parameters is, with what is known to differ;
2. tokens computed by hand from the blocks alone are those of the composite;
3. a cut that a model does not have is an error that says so.
"""

from functools import partial

import pytest
import timm
import torch
from mmengine.config import Config

from cbnet.errors import UserError
from cbnet.testing import build_model

from .composite_vits import CONFIGS, CUTS, narrow


@pytest.fixture(scope='module')
def dual():
    """The backbone of dual_eva02_l.py, narrow, with open connections."""
    torch.manual_seed(0)
    model = build_model(narrow('dual_eva02_l'))
    for p in model.connections.parameters():
        p.data.normal_(std=0.3)
    model.train()
    model.members.eval()
    return model


@pytest.mark.parametrize('name', CUTS)
def test_cuts_and_connections(name):
    model = build_model(narrow(name))
    assist, lead = model.members
    assert tuple(f.index for f in lead.features) == CUTS[name]
    for spec in (*assist.specs, *lead.specs):
        assert (spec.in_stride, spec.out_stride) == (16, 16)
    names = {n for n, _ in lead.named_parameters()}
    assert {n.split('.')[1] for n in names} == {'blocks'}
    own = {n for n, _ in assist.named_parameters()} - names
    assert own == {
        f'model.{n}'
        for n in (
            'cls_token', 'pos_embed', 'patch_embed.proj.weight',
            'patch_embed.proj.bias',
        )
    }  # fmt: skip
    assert set(lead.state_dict()) == names
    (connection,) = model.connections
    assert list(connection) == ['0_to_0', '1_to_1', '2_to_2', '3_to_3']
    for edge in connection.values():
        assert [type(part) for part in edge] == [torch.nn.Conv2d]
        assert edge.conv.kernel_size == (1, 1)
        assert not edge.conv.weight.any() and not edge.conv.bias.any()


def test_the_published_number_of_parameters():
    """674 M; published: 10 convolutions and one mask head."""
    model = build_model(
        dict(
            Config.fromfile(CONFIGS / 'dual_eva02_l.py').model,
            backbone=narrow('dual_eva02_l', num_members=1),
            assistance=dict(weights=[]),
        )
    )
    count = partial(map, lambda part: sum(p.numel() for p in part))
    heads = model.roi_head, model.rpn_head, model.neck
    heads = sum(count(part.parameters() for part in heads))
    (mask_head, *_) = count([model.roi_head.mask_head[0].parameters()])
    cfg = Config.fromfile(CONFIGS / 'dual_eva02_l.py').model.backbone.member
    with torch.device('meta'):
        vit = timm.create_model(
            cfg.model_name, patch_size=cfg.patch_size, num_classes=0
        )
    blocks, patches = count(
        [vit.blocks.parameters(), vit.patch_embed.parameters()]
    )
    convolution = vit.embed_dim**2 + vit.embed_dim
    published = heads - 2 * mask_head + 2 * blocks + patches + 10 * convolution
    assert published == pytest.approx(674e6, abs=0.5e6)


def by_hand(model, images):
    """Both members' tokens after their cuts, from timm's blocks alone."""
    assist, lead = model.members
    with torch.no_grad():
        start, rope = assist.model._pos_embed(assist.model.patch_embed(images))
        rows, columns = (side // 16 for side in images.shape[-2:])
        outputs = []
        for member in (assist, lead):
            x, found = start, []
            ends = CUTS['dual_eva02_l']
            for k, block in enumerate(member.model.blocks):
                if member is lead and (k == 0 or k - 1 in ends):
                    stage = len(found)
                    conv = model.connections[0][f'{stage}_to_{stage}'].conv
                    y = outputs[0][stage][:, 1:]
                    weight = conv.weight[..., 0, 0]
                    added = torch.cat(
                        [torch.zeros_like(x[:, :1]), y @ weight.T + conv.bias],
                        dim=1,
                    )
                    x = x + added
                x = block(x, rope=rope)
                if k in ends:
                    found.append(x)
            outputs.append(found)
    return [
        [
            y[:, 1:].unflatten(1, (rows, columns)).permute(0, 3, 1, 2)
            for y in found
        ]
        for found in outputs
    ]


def test_the_composite_is_what_was_published(dual):
    images = torch.randn(2, 3, 48, 80)
    with torch.no_grad():
        pyramids = dual(images, all_members=True)
    for maps, expected in zip(pyramids, by_hand(dual, images), strict=True):
        for one, other in zip(maps, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    assert not torch.allclose(pyramids[0][0], pyramids[1][0], atol=0.01)


@pytest.mark.parametrize(
    ('groups', 'message'),
    [
        ((2, 5, 24), 'ascending numbers from 0 to 23'),
        ((5, 2), r'groups=\(5, 2\)'),
        ((2, 2, 23), r'groups=\(2, 2, 23\)'),
        ((), r'groups=\(\)'),
        ((-1, 5), 'whole numbers from 0'),
    ],
)
def test_cuts_that_a_model_does_not_have(groups, message):
    cfg = dict(narrow('dual_eva02_l')['member'], groups=groups)
    with pytest.raises(UserError, match=message):
        build_model(cfg)
