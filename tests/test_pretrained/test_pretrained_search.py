"""A backbone's weights are found in a file by their names.

1. the wrappers and prefixes of well-known code are found, for a ResNet and
   for a Swin in Microsoft's names; the rest of the file is ignored;
2. of several copies, the documented one is taken: teachers, averages, query
   encoders; equal copies need no choice; different copies are an error that
   names them, and ``prefix`` chooses one;
3. a checkpoint of ours or a published one needs a prefix.
"""

from argparse import Namespace

import pytest
import torch

from cbnet.pretrained import init_member, load_into
from cbnet.pretrained.search import flatten
from cbnet.testing import TINY_MEMBERS, build_model, tiny_composite

from .pretrained_files import SWIN, load, member, microsoft_names, timm_swin

TINY = TINY_MEMBERS['resnet']


@pytest.fixture(scope='module')
def weights():
    return member(TINY, seed=2).state_dict()


def under(prefix, weights, fill=None):
    """Put weights under a prefix, or such weights with one value."""
    return {
        prefix + name: value if fill is None else torch.full_like(value, fill)
        for name, value in weights.items()
    }


def moco(w):
    return dict(
        epoch=200,
        arch='resnet50',
        args=Namespace(lr=0.03),
        state_dict=under('module.encoder_q.', w)
        | {'module.encoder_q.fc.0.weight': torch.zeros(2, 2)}
        | under('module.encoder_k.', w, 0)
        | {'module.queue': torch.zeros(2, 2)},
        optimizer={'state': {0: {'momentum_buffer': torch.zeros(3)}}},
    )


def moco_v3(w):
    return dict(
        state_dict=under('module.base_encoder.', w)
        | under('module.momentum_encoder.', w, 0)
        | {'module.predictor.0.weight': torch.zeros(2, 2)}
    )


def pixpro(w):
    return dict(
        opt=Namespace(model='PixPro'),
        model=under('module.encoder_k.', w, 0)
        | under('module.encoder.', w)
        | {'module.projector.linear1.weight': torch.zeros(2, 2)}
        | {'module.value_transform.weight': torch.zeros(2, 2)},
    )


def simmatch(start):
    def make(w):
        head = {'head.weight': torch.zeros(2, 2)}
        main = under('main.', under('backbone.', w, 0) | head)
        average = under('ema.', under('backbone.', w) | head)
        return dict(state_dict=under(start, main | average))

    return make


def moby(w):
    return dict(
        model=under('encoder.', w)
        | under('encoder_k.', w, 0)
        | {'projector.linear1.weight': torch.zeros(2, 2)}
        | {'queue1': torch.zeros(2, 2)}
    )


def dino(w):
    head = {'head.mlp.0.weight': torch.zeros(2, 2)}
    return dict(
        student=under('module.', under('backbone.', w, 0) | head),
        teacher=under('backbone.', w) | head,
        args=Namespace(arch='resnet'),
    )


FILES = {
    'bare': (lambda w: dict(w), ''),
    'model': (lambda w: dict(model=w, epoch=3), 'model.'),
    'parallel': (
        lambda w: dict(state_dict=under('module.', w)),
        'state_dict.module.',
    ),
    'detector': (
        lambda w: dict(
            state_dict=under('backbone.', w) | {'neck.w': torch.ones(1)},
            meta=dict(epoch=1),
        ),
        'state_dict.backbone.',
    ),
    'MoCo': (moco, 'state_dict.module.encoder_q.'),
    'MoCo v3': (moco_v3, 'state_dict.module.base_encoder.'),
    'SimCLR': (
        lambda w: dict(state_dict=under('module.encoder.', w)),
        'state_dict.module.encoder.',
    ),
    'SimCLR, backbone': (
        lambda w: under('backbone.', w) | {'projector.w': torch.ones(1)},
        'backbone.',
    ),
    'PixPro': (pixpro, 'model.module.encoder.'),
    'SimMatchV2': (simmatch(''), 'state_dict.ema.backbone.'),
    'SimMatchV2, parallel': (
        simmatch('module.'),
        'state_dict.module.ema.backbone.',
    ),
    'ReLabel': (
        lambda w: dict(
            state_dict=under('module.', w | {'fc.weight': torch.ones(2, 2)})
        ),
        'state_dict.module.',
    ),
    'MoBY': (moby, 'model.encoder.'),
    'DINO': (dino, 'teacher.backbone.'),
    'DINO, parallel': (
        lambda w: dict(
            teacher=under('module.backbone.', w),
            student=under('module.backbone.', w, 0),
        ),
        'teacher.module.backbone.',
    ),
    'BYOL': (
        lambda w: dict(
            online_network=under('encoder.', w),
            target_network=under('encoder.', w, 0),
        ),
        'online_network.encoder.',
    ),
    'solo-learn': (
        lambda w: dict(
            state_dict=under('momentum_backbone.', w, 0)
            | under('backbone.', w)
        ),
        'state_dict.backbone.',
    ),
    'timm, average': (
        lambda w: dict(
            state_dict=under('', w, 0), state_dict_ema=w, arch='resnet18'
        ),
        'state_dict_ema.',
    ),
    'DeiT, average': (
        lambda w: dict(model=under('', w, 0), model_ema=w),
        'model_ema.',
    ),
    # mmengine swaps them when it saves: the average is in state_dict.
    'mmengine, average': (
        lambda w: dict(
            ema_state_dict=under('module.backbone.', w, 0),
            state_dict=under('backbone.', w),
        ),
        'state_dict.backbone.',
    ),
}


@pytest.mark.parametrize('name', FILES)
def test_a_resnet(weights, tmp_path, name):
    make, path = FILES[name]
    file = make(weights)
    torch.save(file, tmp_path / 'net.pth')
    backbone = member(TINY)
    source = str(tmp_path / 'net.pth')
    backbone.init_cfg = dict(type='Pretrained', checkpoint=source)
    report = init_member(backbone, frozenset(weights), 'alone')
    assert (report.path, report.layout) == (path, 'its own names')
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, weights[key])
    names = [*report.loaded, *report.ignored]
    assert len(names) + report.outside == len(flatten(file, 'net.pth'))


@pytest.mark.parametrize('name', FILES)
def test_a_swin(name):
    make, path = FILES[name]
    names = microsoft_names(timm_swin())
    expected = member(SWIN)
    load(expected, names)
    backbone = member(SWIN)
    report = load(backbone, make(names))
    assert (report.path, report.layout) == (path, "Microsoft's Swin")
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, expected.state_dict()[key])


def test_equal_copies_are_no_question(weights):
    report = load(
        member(TINY), {'a': weights, 'b': under('', weights), 'c': {}}
    )
    assert report.path == 'a.'


def test_a_preferred_copy_may_lack_a_tenth(weights):
    """Some averages lack counters of norms."""
    counters = [n for n in weights if n.endswith('num_batches_tracked')]
    for lacking, path in ((len(weights) // 10, 'ema.'), (None, 'model.')):
        gone = counters[:lacking]
        assert (len(gone) * 10 <= len(weights)) == (path == 'ema.')
        ema = {n: w for n, w in weights.items() if n not in gone}
        file = {'model': under('', weights, 2), 'ema': ema}
        assert load(member(TINY), file).path == path


def test_copies_that_differ_are_asked_about(weights):
    file = {'a': weights, 'b': under('net.', weights, 2)}
    with pytest.raises(ValueError, match=r"2 backbones .* under 'a.', 'b.net"):
        load(member(TINY), file)
    for prefix in ('b.net', 'net.', 'b'):
        backbone = member(TINY)
        assert load(backbone, file, prefix).path == 'b.net.'
        assert torch.equal(
            backbone.conv1.weight, file['b']['net.conv1.weight']
        )


def test_a_part_of_a_backbone_is_not_taken_for_one(weights):
    """A block has a ``conv1`` and a ``bn1`` too."""
    block = {
        f'deep.{name.removeprefix("layer1.0.")}': value
        for name, value in weights.items()
        if name.startswith('layer1.0.')
    }
    assert {'deep.conv1.weight', 'deep.bn1.bias'} <= set(block)
    with pytest.raises(ValueError, match='share almost no names'):
        load(member(TINY), block)


@pytest.mark.parametrize('shared', [None, 2])
def test_a_composite_of_ours(shared):
    composite = build_model(tiny_composite(shared_stages=shared))
    file = {'state_dict': under('backbone.', composite.state_dict())}
    with pytest.raises(
        ValueError, match=r"composite.*prefix='backbone.members.0.'"
    ):
        load(build_model(TINY), file)
    backbone = build_model(TINY)
    report = load(backbone, file, 'backbone.members.0.')
    assert report.path == 'state_dict.backbone.members.0.'
    for name, value in composite.members[0].state_dict().items():
        assert torch.equal(backbone.state_dict()[name], value)
    lead = composite.members[1]
    before = {k: v.clone() for k, v in lead.state_dict().items()}
    for value in lead.state_dict().values():
        value.zero_()
    names = frozenset(build_model(TINY).state_dict())
    saved = {'state_dict': under('backbone.members.1.', before)}
    load_into(lead, saved, names, 'net.pth', 'members.1')
    for name, value in lead.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_composite_of_one_needs_no_prefix():
    composite = build_model(tiny_composite(num_members=1))
    file = {'state_dict': under('backbone.', composite.state_dict())}
    backbone = build_model(TINY)
    assert load(backbone, file).path == 'state_dict.backbone.members.0.'
    for name, value in composite.members[0].state_dict().items():
        assert torch.equal(backbone.state_dict()[name], value)


def test_the_lead_of_a_composite_without_its_frozen_members(weights):
    """The lead was trained to read what is not in the file."""
    file = under('backbone.members.1.', weights)
    with pytest.raises(ValueError, match=r"prefix='backbone.members.1.'"):
        load(member(TINY), file)


def test_a_published_composite():
    names = microsoft_names(timm_swin())
    file = under('backbone.cb_modules.0.', names)
    with pytest.raises(ValueError, match=r"prefix='backbone.cb_modules.0.'"):
        load(member(SWIN), file)
    report = load(member(SWIN), file, 'backbone.cb_modules.0.')
    assert report.layout == "Microsoft's Swin"


def test_dicts_that_hold_themselves(weights):
    file = {'state_dict': dict(weights)}
    file['again'] = file
    report = load(member(TINY), file)
    assert (report.path, report.outside) == ('state_dict.', 0)
