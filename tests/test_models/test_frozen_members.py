"""Frozen members.

1. no gradient, eval mode also in training, no kept activations, and neither
   optimizers nor averages of weights change or copy them;
2. gradients pass through a frozen member to the connection that feeds it;
3. a file may leave them out: the weights of ``init_cfg`` must have the hash
   that the file names; any form of a file fits a model of either setting.
"""

import copy
import pickle

import pytest
import torch
from mmengine.model import ExponentialMovingAverage, StochasticWeightAverage
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import load_checkpoint, save_checkpoint
from torch import nn

from cbnet.engine.checkpoint_fit import check_fit
from cbnet.models import CompositeBackbone
from cbnet.testing import (
    TINY_MEMBERS,
    build_model,
    make_batch,
    tiny_detector,
)
from cbnet.twins.needs import leaves_unused

IMAGE = torch.randn(2, 3, 64, 96)
KINDS = ['resnet', 'swin', 'timm_efficientnet', 'timm_vit']


def frozen(name, init_cfg=None, **settings):
    backbone = dict(copy.deepcopy(TINY_MEMBERS[name]), init_cfg=init_cfg)
    return dict(type='Member', backbone=backbone, frozen=True, **settings)


def join(*members, shared_stages=None, **options):
    return build_model(
        dict(
            type='CompositeBackbone',
            member=list(members),
            num_members=len(members),
            shared_stages=shared_stages,
            **options,
        )
    )


def opened(composite):
    for p in composite.connections.parameters():
        nn.init.normal_(p, std=0.1)
    return composite.train()


def weights_of(module):
    return {n: w.clone() for n, w in module.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)


def step(composite, **settings):
    """Train one step with weight decay."""
    optimizer = dict(type='AdamW', lr=0.1, weight_decay=0.5)
    detector = nn.ModuleDict(dict(backbone=composite))
    with DefaultScope.overwrite_default_scope('mmdet'):
        wrapper = build_optim_wrapper(
            detector, dict(settings, optimizer=optimizer)
        )
    wrapper.update_params(sum(y.square().mean() for y in composite(IMAGE)))
    return wrapper.optimizer


@pytest.mark.parametrize('name', KINDS)
def test_it_keeps_nothing_and_stays(name):
    composite = opened(join(frozen(name), TINY_MEMBERS['resnet']))
    before, lead = weights_of(composite.members[0]), composite.members[1]
    kept, recorded = {}, set()
    for part in composite.members[0].modules():
        part.register_forward_hook(
            lambda *_: recorded.add(torch.is_grad_enabled())
        )
    for k, adapter in enumerate(composite.adapters):
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, saved=saved: saved.append(t) or t, lambda t: t
        ):
            adapter.run(IMAGE, lambda stage, size: None, 4)
        kept[k] = len(saved)
    assert kept[0] == 0 < kept[1]
    assert recorded == {False}
    assert not any(m.training for m in composite.members[0].modules())
    assert lead.training and composite.training
    assert not any(y.requires_grad for y in composite.members[0](IMAGE))
    sum(y.square().sum() for y in composite(IMAGE)).backward()
    for key, p in composite.named_parameters():
        assert (p.grad is None) == key.startswith('members.0.'), key
    step(composite)
    assert same(before, weights_of(composite.members[0]))
    assert not composite.eval().train().members[0].training


@pytest.mark.parametrize('name', KINDS)
def test_layer_decay_leaves_it_alone(name):
    composite = opened(join(frozen(name), TINY_MEMBERS['resnet']))
    before = weights_of(composite.members[0])
    lead = weights_of(composite.members[1])
    optimizer = step(
        composite,
        constructor='MemberLayerDecayConstructor',
        paramwise_cfg=dict(layer_decay=0.7),
    )
    assert same(before, weights_of(composite.members[0]))
    assert not same(lead, weights_of(composite.members[1]))
    held = {id(p) for p in optimizer.state}
    assert not any(id(p) in held for p in composite.members[0].parameters())


@pytest.mark.parametrize('update_buffers', [False, True])
@pytest.mark.parametrize('save_frozen', [False, True])
@pytest.mark.parametrize(
    'kind', [ExponentialMovingAverage, StochasticWeightAverage]
)
def test_averages_leave_it_alone(kind, save_frozen, update_buffers):
    """Also of a member whose weights are loaded after the average began."""
    assistant = frozen('resnet', save_frozen=save_frozen)
    composite = opened(join(assistant, TINY_MEMBERS['resnet']))
    average = kind(composite, update_buffers=update_buffers)
    with torch.no_grad():
        for p in composite.members[0].parameters():
            p.add_(torch.randn(p.shape))
    before = weights_of(composite.members[0])
    for _ in range(3):
        step(composite)
        average.update_parameters(composite)
    assert same(before, weights_of(composite.members[0]))
    assert same(before, weights_of(average.module.members[0]))
    mine = composite.members[0].conv1.weight
    theirs = average.module.members[0].conv1.weight
    assert theirs is not mine and theirs.data_ptr() == mine.data_ptr()
    average.module.load_state_dict(composite.state_dict())


def test_a_copy_shares_only_what_is_frozen():
    composite = opened(join(frozen('resnet'), TINY_MEMBERS['resnet'])).eval()
    for twin in (
        copy.deepcopy(composite),
        pickle.loads(pickle.dumps(composite)),  # noqa: S301
    ):
        assert all(map(torch.equal, composite(IMAGE), twin(IMAGE)))
        assert twin.adapters[0].backbone is twin.members[0]
        assert twin.members[1].conv1 is not composite.members[1].conv1
        twin.members[1].conv1.weight.data.zero_()
        assert composite.members[1].conv1.weight.abs().max() > 0


def test_gradients_pass_through():
    """Frozen in the middle, and as the lead."""
    one = TINY_MEMBERS['resnet']
    composite = opened(join(one, frozen('swin'), frozen('resnet')))
    sum(y.square().sum() for y in composite(IMAGE)).backward()
    for name, p in composite.named_parameters():
        kept = name.startswith(('members.1.', 'members.2.'))
        assert (p.grad is None) == kept, name


def test_a_frozen_stem_is_shared():
    composite = opened(
        join(frozen('resnet'), TINY_MEMBERS['resnet'], shared_stages=2)
    )
    composite.adapters[1].backbone.norm_eval = False
    sum(y.square().sum() for y in composite(IMAGE)).backward()
    for name, p in composite.named_parameters():
        assert (p.grad is None) == name.startswith('members.0.'), name
    twins = join(
        frozen('timm_efficientnet'),
        TINY_MEMBERS['timm_efficientnet'],
        shared_stages=1,
    )
    assert len(twins.eval()(IMAGE)) == len(twins.adapters[0].out_indices)


def test_assistance_skips_it():
    cfg = tiny_detector(
        'RetinaNet',
        dict(
            type='CompositeBackbone',
            member=[frozen('resnet', scale=0.5), TINY_MEMBERS['resnet']],
            shared_stages=None,
        ),
    )
    cfg.update(type='AssistedDetector', base='RetinaNet')
    model = build_model(cfg)
    assert model.assistant_weights == (0.0,)
    assert not leaves_unused(model.backbone, model.assistant_weights)
    batch = model.data_preprocessor(make_batch(), training=True)
    losses = model.loss(batch['inputs'], batch['data_samples'])
    assert not any(name.startswith('assist') for name in losses)
    cfg['assistance'] = dict(weights=[0.5])
    with pytest.raises(ValueError, match='stride 8 in member 0.*stride 4 in'):
        build_model(cfg)


@pytest.fixture
def source(tmp_path):
    """The pretrained file of a ResNet."""
    backbone = build_model(TINY_MEMBERS['resnet'])
    file = str(tmp_path / 'pretrained.pth')
    torch.save(backbone.state_dict(), file)
    return dict(type='Pretrained', checkpoint=file)


def small(source, save_frozen=False):
    assistant = frozen('resnet', source, save_frozen=save_frozen)
    return join(assistant, TINY_MEMBERS['resnet'])


@pytest.mark.parametrize('whole', [False, True])
def test_left_out_and_back(source, tmp_path, whole):
    """In a strict load of torch, and in mmengine's of an evaluation."""
    trained = opened(small(source))
    trained.init_weights()
    opened(trained).eval()
    state = trained.state_dict()
    names = [name for name in state if name.startswith('members.0.')]
    assert names == ['members.0.sha256']
    detector = nn.ModuleDict(dict(backbone=trained))
    assert [
        name
        for name in detector.state_dict()
        if name.startswith('backbone.members.0.')
    ] == ['backbone.members.0.sha256']
    file = str(tmp_path / 'small.pth')
    save_checkpoint(dict(state_dict=detector.state_dict(), meta={}), file)
    for strict in (True, False):
        fresh = nn.ModuleDict(dict(backbone=small(source, whole))).eval()
        if strict:
            fresh.load_state_dict(detector.state_dict())
        else:
            load_checkpoint(fresh, file, strict=True)
        assert all(map(torch.equal, trained(IMAGE), fresh['backbone'](IMAGE)))
        check_fit(torch.load(file), fresh, file, complete=True)


def test_a_whole_file_fits_a_model_that_saves_small_ones(source):
    whole, fresh = small(source, save_frozen=True), small(source)
    whole.init_weights()
    state = whole.state_dict()
    assert len(state) > len(fresh.state_dict())
    both = (
        nn.ModuleDict(dict(backbone=fresh)),
        {f'backbone.{n}': w for n, w in state.items()},
    )
    check_fit(both[1], both[0], 'a file', complete=True)
    both[0].load_state_dict(both[1])
    assert same(weights_of(whole.members[0]), weights_of(fresh.members[0]))


def test_other_weights_are_refused(source):
    trained = small(source)
    trained.init_weights()
    state = trained.state_dict()
    other = build_model(TINY_MEMBERS['resnet'])
    torch.save(other.state_dict(), source['checkpoint'])
    for init_cfg, message in (
        (source, 'those of init_cfg.checkpoint='),
        (None, 'its init_cfg names no file'),
    ):
        with pytest.raises(ValueError, match=message) as raised:
            small(init_cfg).load_state_dict(state)
        text = str(raised.value)
        assert 'leaves out the frozen weights of member 0' in text
        assert '\n' not in text


def test_the_hash_follows_the_weights(source):
    composite = small(source)
    before = composite.state_dict()['members.0.sha256']
    assert torch.equal(before, composite.state_dict()['members.0.sha256'])
    with torch.no_grad():
        composite.members[0].bn1.running_mean[3] += 1e-3
    after = composite.state_dict()['members.0.sha256']
    assert not torch.equal(before, after)
    assert after.dtype is torch.float32 and after.shape == (32,)
    for dtype in (torch.float16, torch.bfloat16):
        assert torch.equal(after.to(dtype).float(), after)
    assert isinstance(composite, CompositeBackbone)
