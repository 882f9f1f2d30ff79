"""Members with settings of their own.

1. without a setting, a ``Member`` is its backbone, with the same names;
2. a scaled member computes the backbone's maps of the resized image, and its
   positions are those of the image, also for patches of 14 pixels;
3. a type is for one member alone, and its maps have the images' type;
4. recomputation is for one member alone;
5. the cost of a smaller image is counted;
6. three members of all kinds and styles have shapes and gradients;
7. settings that do not fit are one sentence.
"""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.model import BaseModule
from torch import nn

from cbnet.analysis.complexity import measure
from cbnet.models import CompositeBackbone, Member
from cbnet.models.backbones import STYLES
from cbnet.models.members import STEM
from cbnet.testing import TINY_MEMBERS, build_model, tiny_detector

IMAGE = torch.randn(2, 3, 96, 160)
KINDS = ['resnet', 'swin', 'timm_efficientnet', 'timm_vit']


def member(name, **settings):
    return dict(
        type='Member', backbone=copy.deepcopy(TINY_MEMBERS[name]), **settings
    )


def join(*members, **options):
    options = dict(shared_stages=None, connection=dict(init='zero')) | options
    listed = [TINY_MEMBERS[m] if isinstance(m, str) else m for m in members]
    return build_model(
        dict(
            type='CompositeBackbone',
            member=listed,
            num_members=len(listed),
            **options,
        )
    )


def run(composite, k=0, images=IMAGE):
    adapter = composite.adapters[k]
    done = adapter.run(images, lambda stage, size: None, len(adapter.specs))
    return [adapter.emit(i, done.outputs[i]) for i in adapter.out_indices]


@pytest.mark.parametrize('name', KINDS)
def test_without_a_setting_it_is_the_backbone(name):
    composite = join(member(name)).eval()
    lone = build_model(TINY_MEMBERS[name])
    lone.eval()
    names = [f'members.0.{n}' for n in lone.state_dict()]
    assert list(composite.state_dict()) == names
    lone.load_state_dict(composite.members[0].state_dict())
    assert all(map(torch.equal, composite(IMAGE), lone(IMAGE)))


@pytest.mark.parametrize('scale', [0.5, 1.0, 1.4])
@pytest.mark.parametrize('name', KINDS)
def test_a_scaled_member_sees_the_resized_image(name, scale):
    composite = join(member(name, scale=scale), 'resnet').eval()
    lone = composite.members[0]
    cell = 16 if name == 'timm_vit' else 32
    size = [int(side * scale / cell + 0.5) * cell for side in (96, 160)]
    seen = F.interpolate(IMAGE, size, mode='bilinear', antialias=True)
    assert all(map(torch.equal, run(composite), lone(seen)))
    if scale == 1:
        assert torch.equal(seen, IMAGE)
    spec, own = composite.adapters[0].specs[0], lone(seen)[0]
    assert spec.out_stride == round(size[0] / own.shape[-2] / scale)


class Means(BaseModule):
    """A backbone of one stage: the mean of each patch."""

    def __init__(self, patch):
        super().__init__()
        self.patches = nn.Conv2d(3, 3, patch, patch)
        self.same = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        """Pad to whole patches, as a ViT does."""
        patch = self.patches.kernel_size[0]
        right, below = -x.shape[-1] % patch, -x.shape[-2] % patch
        return (self.same(self.patches(F.pad(x, (0, right, 0, below)))),)


def means(patch):
    backbone = Means(patch)
    nn.init.dirac_(backbone.same.weight)
    nn.init.dirac_(backbone.patches.weight)
    weight = backbone.patches.weight.data
    weight.copy_(torch.eye(3)[:, :, None, None].expand_as(weight) / patch**2)
    nn.init.zeros_(backbone.patches.bias)
    nn.init.zeros_(backbone.same.bias)
    return backbone


@pytest.mark.parametrize('scale', [0.35, 0.5, 1.0, 1.3])
@pytest.mark.parametrize('size', [(800, 1344), (608, 1024)])
def test_positions_line_up(size, scale):
    """Each position receives the features of its own pixels."""
    rows, columns = (torch.arange(n) + 0.5 for n in size)
    grid = torch.meshgrid(rows, columns, indexing='ij')
    image = torch.stack([*grid, torch.zeros(size)])[None]
    composite = CompositeBackbone(
        [Member(means(14), scale=scale), means(16)],
        style='ahlc',
        shared_stages=None,
        connection=dict(identity=True),
    )
    edges, lead = composite.connections[0], means(16)(image)[0]
    adapter = composite.adapters[0]
    seen = adapter.run(image, lambda stage, size: None, 1)
    added = edges(seen.outputs, 0, tuple(lead.shape[-2:]))
    shift = (added - lead)[:, :2]
    # The nearest of two grids' cells lies at most half a cell away.
    assert shift.abs().max() <= 0.5 * max(16, 14 / scale) + 1


@pytest.mark.parametrize('name', KINDS)
def test_a_type_is_for_one_member_alone(name):
    composite = join(member(name, dtype='bfloat16'), name).eval()
    types = {0: set(), 1: set(), 'connections': set()}
    places = [*enumerate(composite.members)]
    places.append(('connections', composite.connections))
    for place, module in places:
        for part in module.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                part.register_forward_hook(
                    lambda m, args, y, to=types[place]: to.add(y.dtype)
                )
    single, double = run(composite), composite(IMAGE)
    assert types[0] == {torch.bfloat16}
    assert types[1] == types['connections'] | types[1] == {torch.float32}
    assert all(y.dtype is torch.float32 for y in [*single, *double])
    assert not any(map(torch.equal, single, composite.members[0](IMAGE)))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        expected = composite.members[0](IMAGE)
    for found, y in zip(single, expected, strict=True):
        torch.testing.assert_close(found, y.float(), rtol=0.1, atol=0.1)


def test_one_member_can_stay_exact():
    composite = join(member('resnet', dtype='float32'), 'resnet').eval()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        exact, lead = run(composite), composite(IMAGE)
    assert all(map(torch.equal, exact, composite.members[0](IMAGE)))
    assert lead[-1].dtype is torch.bfloat16


def test_what_feeds_a_member_of_another_type_computes_in_its_own():
    composite = join(
        'resnet', member('resnet', dtype='bfloat16'), 'resnet'
    ).eval()
    types = set()
    for part in composite.connections.modules():
        if isinstance(part, nn.Conv2d):
            part.register_forward_hook(lambda m, args, y: types.add(y.dtype))
    composite(IMAGE)
    assert types == {torch.float32}


@pytest.mark.parametrize('name', KINDS)
def test_one_member_recomputes(name):
    held = {}
    for k, checkpoint in enumerate([False, True]):
        composite = join(member(name, checkpoint=checkpoint), name).train()
        for j in (0, 1):
            saved = []
            with torch.autograd.graph.saved_tensors_hooks(
                lambda t, saved=saved: saved.append(t.numel()) or t,
                lambda t: t,
            ):
                run(composite, j)
            held[k, j] = sum(saved)
    assert held[1, 0] < 0.6 * held[0, 0]
    assert held[1, 1] == held[0, 1]


@pytest.mark.parametrize('style', STYLES)
def test_three_members(style):
    composite = join(
        member('timm_vit', frozen=True, scale=0.5),
        member('swin', scale=0.5, dtype='bfloat16'),
        'resnet',
        style=style,
    ).train()
    maps = composite(IMAGE)
    lone = build_model(TINY_MEMBERS['resnet'])
    assert [y.shape for y in maps] == [y.shape for y in lone(IMAGE)]
    for p in composite.connections.parameters():
        nn.init.normal_(p, std=0.1)
    everything = composite(IMAGE, all_members=True)
    sum(y.square().sum() for p in everything for y in p).backward()
    for name, p in composite.named_parameters():
        assert (p.grad is None) == name.startswith('members.0.'), name


@pytest.mark.parametrize('name', ['resnet', 'timm_efficientnet'])
def test_half_the_size_costs_a_quarter(name):
    macs = {}
    for scale in (None, 0.5):
        own = member(name, scale=scale, dtype='bfloat16', preprocess='clip')
        joined = dict(
            type='CompositeBackbone',
            member=[own, TINY_MEMBERS['resnet']],
            shared_stages=None,
        )
        model = tiny_detector('RetinaNet', joined)
        cost = measure(Config(dict(model=model)), (128, 192))
        assert not cost.uncounted
        macs[scale] = cost.parts['member 0 (assistant)'].macs
    # Squeeze-and-excitation and the padding of windows cost a little more.
    assert macs[0.5] / macs[None] <= 0.28


def test_a_setting_is_for_every_config_or_object():
    built = build_model(TINY_MEMBERS['resnet'])
    composite = CompositeBackbone(
        [Member(built, frozen=True), TINY_MEMBERS['resnet']],
        shared_stages=None,
    )
    assert composite.members[0] is built
    assert MODELS.build(member('resnet', scale=2.0)).scale == 2.0
    twins = join(member('resnet'), member('resnet'), shared_stages=1)
    assert STEM in twins.adapters[0].run(IMAGE, lambda *_: None, 1).outputs
    assert not any(
        n.startswith('layer1') for n in twins.members[1].state_dict()
    )


@pytest.mark.parametrize(
    ('members', 'options', 'message'),
    [
        (['resnet', dict(scale=0.5)], {}, 'member 1 is the lead and has sca'),
        (
            [dict(scale=0.5), 'resnet'],
            dict(shared_stages=0),
            'member 0 has scale=0.5, so it cannot share.*shared_stages=None',
        ),
        (
            ['resnet', dict(dtype='bfloat16')],
            dict(shared_stages=1),
            "member 1 has dtype='bfloat16', so it cannot share",
        ),
        ([dict(save_frozen=False), 'resnet'], {}, 'set frozen=True, too'),
        ([dict(scale=0), 'resnet'], {}, 'scale=0; expected a .*number abo'),
        ([dict(dtype='half'), 'resnet'], {}, "dtype='half'; expected 'float"),
        ([dict(frozen=1), 'resnet'], {}, 'frozen=1; expected True or False'),
        ([dict(scales=1), 'resnet'], {}, "'scales'; did you mean 'scale'"),
        (
            [dict(backbone=dict(type='Member', backbone={})), 'resnet'],
            {},
            'backbone',
        ),
        ([dict(preprocess='clop'), 'resnet'], {}, "did you mean 'clip'"),
    ],
)
def test_settings_that_do_not_fit(members, options, message):
    listed = [
        {**member('resnet'), **m} if isinstance(m, dict) else m
        for m in members
    ]
    with pytest.raises((TypeError, ValueError), match=message) as raised:
        join(*listed, **options)
    assert '\n' not in str(raised.value)


def test_settings_of_settings():
    inner = member('resnet', frozen=True)
    with pytest.raises(ValueError, match='backbone of a Member is a Member'):
        join(dict(type='Member', backbone=inner), 'resnet')
