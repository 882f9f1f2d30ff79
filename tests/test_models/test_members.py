"""Members: registered means tested.

1. every registered backbone has a tiny member, and each tiny member
   a. equals the backbone it wraps bit for bit, in eval and train mode, or,
      if it is fast, up to rounding,
   b. emits what its specs say, at odd sizes,
   c. keeps frozen stages frozen through ``train()``;
2. timm's own feature extraction gives the same maps, bit for bit;
3. a backbone without an adapter of its own runs as it is (test_hooked.py).
"""

import copy
from pathlib import Path

import pytest
import timm
import torch
from mmdet.models.backbones import DetectoRS_ResNet
from mmdet.registry import MODELS

from cbnet.models.members import ResNetAdapter, adapt, served_backbones
from cbnet.models.members.plain import PlainAdapter
from cbnet.models.members.timm import TimmBackbone
from cbnet.testing import TINY_MEMBERS, build_model, tiny_composite

IMAGE = torch.randn(2, 3, 97, 131)


def test_every_registered_backbone_has_a_tiny_member():
    tried = {type(build_model(cfg)) for cfg in TINY_MEMBERS.values()}
    assert set(served_backbones()) <= tried
    family = {'ResNet', 'ResNeXt', 'Res2Net', 'RegNet', 'ResNeSt'}
    assert family <= {cls.__name__ for cls in tried}


@pytest.mark.parametrize('fast', [False, True])
@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('name', TINY_MEMBERS)
def test_one_member_equals_its_backbone(name, training, fast):
    backbone = build_model(TINY_MEMBERS[name])
    composite = build_model(tiny_composite(name, num_members=1, fast=fast))
    rounding = 1e-5 if composite.adapters[0].fast else 0.0
    assert fast or not rounding
    backbone.norm_eval = composite.members[0].norm_eval = False
    composite.members[0].load_state_dict(backbone.state_dict())
    backbone.train(training)
    composite.train(training)
    for expected, found in zip(backbone(IMAGE), composite(IMAGE), strict=True):
        torch.testing.assert_close(expected, found, rtol=0, atol=rounding)
    # ... and so do the statistics that training moved.
    for key, value in backbone.state_dict().items():
        own = composite.members[0].state_dict()[key]
        torch.testing.assert_close(own, value, rtol=0, atol=rounding)


@pytest.mark.parametrize('name', TINY_MEMBERS)
def test_specs_say_what_comes_out(name):
    backbone = build_model(TINY_MEMBERS[name])
    backbone.eval()
    adapter = adapt(backbone)
    sizes = {}
    run = adapter.run(
        torch.randn(1, 3, 128, 192), lambda i, size: sizes.update({i: size}), 4
    )
    for i, spec in enumerate(adapter.specs):
        side = (128 // spec.in_stride, 192 // spec.in_stride)
        assert run.inputs[i].shape == (1, spec.in_channels, *side)
        assert tuple(sizes[i]) == side
        side = (128 // spec.out_stride, 192 // spec.out_stride)
        y = adapter.emit(i, run.outputs[i])
        assert y.shape == (1, spec.out_channels, *side)


def owned_by_stem_and_first_stage(member):
    """The names of the parameters that a later member shares with them."""
    rest = copy.deepcopy(member)
    rest.share(1, copy.deepcopy(member))
    rest.drop_emission(0)  # mmdet freezes a stage's norm with it
    names = {n for n, _ in member.backbone.named_parameters()}
    return names - {n for n, _ in rest.backbone.named_parameters()}


@pytest.mark.parametrize('name', TINY_MEMBERS)
def test_frozen_stages_stay_frozen(name):
    member = adapt(build_model(dict(TINY_MEMBERS[name], frozen_stages=1)))
    member.backbone.norm_eval = False
    parameters = dict(member.backbone.named_parameters())
    frozen = owned_by_stem_and_first_stage(member)
    assert frozen and frozen < set(parameters)
    for _ in range(2):  # after construction, and after train()
        assert frozen == {
            n for n, p in parameters.items() if not p.requires_grad
        }
        before = copy.deepcopy(member.backbone.state_dict())
        pyramid = member.backbone(torch.randn(2, 3, 64, 64))
        sum(y.square().sum() for y in pyramid).backward()
        assert {n for n, p in parameters.items() if p.grad is not None} == (
            set(parameters) - frozen
        )
        for key, value in member.backbone.state_dict().items():
            if any(key.startswith(n.rpartition('.')[0]) for n in frozen):
                assert torch.equal(before[key], value), key
        member.backbone.zero_grad()
        member.backbone.train()


@pytest.mark.parametrize(
    'name',
    ['tf_efficientnet_lite0', 'tf_efficientnet_lite2', 'resnet18', 'resnet26d']
    + ['convnext_atto', 'test_convnext'],
)
def test_timm_member_equals_timm(name):
    ours = TimmBackbone(name).eval()
    theirs = timm.create_model(name, features_only=True).eval()
    plain = timm.create_model(name)
    weights = plain.state_dict()
    ours.model.load_state_dict(weights, strict=False)
    theirs.load_state_dict(
        {
            key: weights[key] if key in weights else weights[_unflat(key)]
            for key in theirs.state_dict()
        }
    )
    maps = ours(IMAGE)
    strides = [spec.out_stride for spec in ours.specs]
    assert strides == [4, 8, 16, 32]
    for expected, found in zip(theirs(IMAGE)[-4:], maps, strict=True):
        assert torch.equal(expected, found)
    head = set(weights) - set(ours.model.state_dict())
    assert head and not [k for k in head if k.startswith(('layer', 'stages'))]


def _unflat(key):
    # features_only flattens: stages.0 becomes stages_0
    first, rest = key.split('.', 1)
    return f'{first.replace("_", ".", 1)}.{rest}'


def test_unknown_timm_model():
    with pytest.raises(ValueError, match="'resnet5' is not a timm model"):
        TimmBackbone('resnet5')


@pytest.mark.parametrize(
    ('key', 'value'), [('out_indices', (0, 4)), ('frozen_stages', 5)]
)
def test_timm_stage_out_of_range(key, value):
    with pytest.raises(ValueError, match=key):
        TimmBackbone('test_resnet', **{key: value})


@pytest.mark.parametrize(
    'key', ['checkpoint_path', 'pretrained_cfg', 'pretrained_cfg_overlay']
)
def test_timm_reads_no_file_itself(key, tmp_path):
    """A pickle that some versions of timm would run is never opened."""

    class Payload:
        def __reduce__(self):
            return Path.touch, (tmp_path / 'ran',)

    file = tmp_path / 'weights.pth'
    torch.save(Payload(), file)
    value = file if key == 'checkpoint_path' else dict(file=str(file))
    arguments = {key: value, 'pretrained': key != 'checkpoint_path'}
    with pytest.raises(ValueError, match=f'{key}=.*name the weights in init'):
        TimmBackbone('test_resnet', **arguments)
    assert not (tmp_path / 'ran').exists()


def test_timm_out_indices():
    assert len(TimmBackbone('test_resnet', out_indices=(1, 3))(IMAGE)) == 2


def test_subclass_with_its_own_forward_has_another_adapter():
    assert issubclass(DetectoRS_ResNet, MODELS.get('ResNet'))
    assert DetectoRS_ResNet.forward is not MODELS.get('ResNet').forward

    class Renamed(MODELS.get('ResNet')):
        pass

    class Changed(MODELS.get('ResNet')):
        def forward(self, x):
            return super().forward(x)[::-1]

    assert type(adapt(Renamed(18))) is ResNetAdapter
    with pytest.raises(TypeError, match='Changed cannot be a member: its'):
        adapt(Changed(18))
    assert type(adapt(DetectoRS_ResNet(depth=50))) is PlainAdapter
