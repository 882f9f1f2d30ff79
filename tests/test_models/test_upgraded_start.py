"""Connections that start at zero in effect (``init='zero'``).

1. the lead's maps are those of the single, to the last bit, in every family,
   if it computes as the single does (``fast='assistants'``);
2. every connection has a gradient from the first step on, and learns;
3. identities of Swins become scales; published composites keep theirs;
4. maps are enlarged as before between usual strides.
"""

import pytest
import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.scale import LayerScale
from torch import nn

from cbnet.models.backbones import STYLES
from cbnet.models.backbones.resizing import enlarge
from cbnet.testing import TINY_MEMBERS, build_model

IMAGE = torch.randn(2, 3, 97, 131)
LEADS = ['resnet', 'swin', 'timm_efficientnet', 'timm_vit', 'regnet']


def upgraded(lead, assistant, style='dhlc', **options):
    options = dict(init='zero') | options
    return build_model(
        dict(
            type='CompositeBackbone',
            member=[assistant, TINY_MEMBERS[lead]],
            style=style,
            shared_stages=None,
            connection=options,
            fast='assistants',
        )
    )


def frozen(name, **settings):
    settings = dict(frozen=True) | settings
    return dict(type='Member', backbone=TINY_MEMBERS[name], **settings)


@pytest.mark.parametrize('assistant', ['swin', 'timm_vit', 'resnet'])
@pytest.mark.parametrize('lead', LEADS)
def test_it_starts_as_its_lead(lead, assistant):
    settings = dict(scale=0.5, dtype='bfloat16') if lead != assistant else {}
    composite = upgraded(lead, frozen(assistant, **settings)).train()
    single = build_model(TINY_MEMBERS[lead])
    single.train()
    single.load_state_dict(composite.members[1].state_dict())
    maps = composite(IMAGE)
    assert all(map(torch.equal, maps, single(IMAGE)))
    sum(y.square().sum() for y in maps).backward()
    # The first step moves the scales and convolutions that start at zero.
    before = [y.detach() for y in composite.eval()(IMAGE)]
    parameters = [p for p in composite.connections.parameters()]
    assert all(p.grad is not None for p in parameters)
    torch.optim.SGD(parameters, lr=1e-2).step()
    assert not all(map(torch.equal, before, composite(IMAGE)))


@pytest.mark.parametrize('style', STYLES)
def test_every_style_of_swins(style):
    composite = upgraded('swin', TINY_MEMBERS['swin'], style).eval()
    single = build_model(TINY_MEMBERS['swin'])
    single.eval()
    single.load_state_dict(composite.members[1].state_dict())
    assert all(map(torch.equal, composite(IMAGE), single(IMAGE)))


def test_zero_init_is_overruled():
    for options in (dict(zero_init=False), dict(norm_cfg=None, bias=True)):
        composite = upgraded('resnet', frozen('swin'), **options).eval()
        single = composite.members[1]
        assert all(map(torch.equal, composite(IMAGE), single(IMAGE)))


def test_identities_are_scales_only_on_request():
    kinds = {}
    for init in ('zero', None):
        joined = upgraded('swin', TINY_MEMBERS['swin'], init=init)
        kinds[init] = {type(edge) for edge in joined.connections[0].values()}
    assert kinds['zero'] == {LayerScale, nn.Sequential}
    assert kinds[None] == {nn.Identity, nn.Sequential}


def test_an_init_that_does_not_exist():
    with pytest.raises(ValueError, match="connection.init='one'; exp.*'zero'"):
        upgraded('swin', TINY_MEMBERS['swin'], init='one')


@pytest.mark.parametrize('factor', [1, 2, 4, 8])
def test_usual_strides_are_enlarged_as_published(factor):
    for large in range(1, 120):
        x = torch.randn(1, 1, -(-large // factor), 3)
        size = (large, 3 * factor)
        expected = F.interpolate(x, size, mode='nearest')
        assert torch.equal(enlarge(x, size), expected)
