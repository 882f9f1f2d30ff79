"""Ordinary weights are put into every member.

1. a composite of ResNets whose connections start at zero predicts, bit for
   bit, what the original detector predicted, for every number of shared
   stages;
2. names are the same with and without a config, for ResNets and Swins, from
   a detector, a detector with one member, a backbone, and Microsoft's names;
3. files and configs that cannot be used are errors.
"""

import pytest
import torch

from cbnet.converters.replicate import (
    replicate,
    replicate_into,
    take_apart,
)
from cbnet.testing import (
    TINY_MEMBERS,
    build_model,
    make_batch,
    tiny_composite,
    tiny_detector,
)
from tests.test_checkpoints.partitions import assert_partition

from .published_layout import SWIN_NAMES, merging_order


def predictions(model):
    model.eval()
    batch = model.data_preprocessor(make_batch(), training=False)
    with torch.no_grad():
        found = model.predict(batch['inputs'], batch['data_samples'])
    return [sample.pred_instances for sample in found]


def moved(model):
    """Give a detector the statistics and scores of a trained one."""
    generator = torch.Generator().manual_seed(2)
    for name, value in model.state_dict().items():
        if name.endswith(('running_mean', 'running_var')):
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    model.roi_head.bbox_head.fc_cls.weight.data.normal_(generator=generator)
    return model


@pytest.mark.parametrize('shared_stages', [None, 0, 1, 3])
def test_predictions_stay_the_same(shared_stages):
    plain = moved(build_model(tiny_detector('MaskRCNN')))
    weights = replicate(take_apart(plain.state_dict()), 3, shared_stages)
    backbone = tiny_composite(num_members=3, shared_stages=shared_stages)
    twin = build_model(tiny_detector('MaskRCNN', backbone))
    keys = twin.load_state_dict(weights, strict=False)
    assert keys.unexpected_keys == []
    assert all('.connections.' in name for name in keys.missing_keys)
    count = 0
    for one, other in zip(predictions(plain), predictions(twin), strict=True):
        count += len(one)
        for key in ('bboxes', 'scores', 'labels', 'masks'):
            assert torch.equal(one[key], other[key])
    assert count > 10


def detector(member, num_members=None, shared_stages=0):
    if num_members is None:
        backbone = TINY_MEMBERS[member]
    else:
        backbone = tiny_composite(
            member, num_members=num_members, shared_stages=shared_stages
        )
    return build_model(tiny_detector('FasterRCNN', backbone))


@pytest.mark.parametrize('member', ['resnet', 'resnet_deep_stem', 'swin'])
@pytest.mark.parametrize('shared_stages', [None, 0, 2, 4])
def test_names(member, shared_stages):
    model = detector(member, 2, shared_stages)
    expected = {
        name
        for name in model.state_dict()
        if not name.startswith('backbone.connections.')
    }
    plain = detector(member)
    single = detector(member, 1)
    for weights in (plain.state_dict(), single.state_dict()):
        part = take_apart(weights)
        assert set(replicate(part, 2, shared_stages)) == expected
        found, report = replicate_into(part, model, 'config.py')
        assert set(found) == expected
        left = set(model.state_dict()) - expected
        assert {*report.new, *report.kept} == left
        assert_partition(report, found, model.state_dict())
        for name, value in found.items():
            k = name.split('.')[2]
            ours = name.replace(f'.members.{k}.', '.')
            if weights is not plain.state_dict() and name in weights:
                ours = name
            source = weights.get(ours, weights.get(
                ours.replace('backbone.', 'backbone.members.0.')))  # fmt: skip
            assert torch.equal(value, source)


@pytest.mark.parametrize('microsoft', [False, True])
def test_a_backbone_alone(microsoft):
    backbone = build_model(TINY_MEMBERS['swin'])
    own = backbone.state_dict()
    file = dict(own)
    if microsoft:
        file = {}
        for name, value in own.items():
            if 'downsample' in name:
                value = merging_order(value)
            for ours, theirs in SWIN_NAMES:
                name = name.replace(ours, theirs)
            file[name] = value
        file['layers.0.blocks.1.attn_mask'] = torch.zeros(1)
    file |= {'head.weight': torch.zeros(5, 64), 'norm.weight': torch.ones(64)}
    part = take_apart(file)
    masks = ['stages.0.blocks.1.attn_mask'] * microsoft
    assert part.dropped == ['head.weight', 'norm.weight', *masks]
    assert len(part.member) + len(part.dropped) == len(file)
    assert part.rest == {}
    model = detector('swin', 2)
    for found in (replicate(part, 2, 0), replicate_into(part, model, 'c')[0]):
        for name, value in found.items():
            assert torch.equal(value, own[name.split('.', 3)[3]])
        assert set(found) == {
            name
            for name in model.state_dict()
            if name.startswith('backbone.members.')
        }


def test_other_families_need_a_config():
    plain = take_apart(detector('timm_resnet').state_dict())
    with pytest.raises(ValueError, match='give the config'):
        replicate(plain, 2, 0)


MISTAKES = {
    'composite': (
        ['backbone.members.1.a'],
        'composite already .*without conversion',
    ),
    'published': (['backbone.cb_modules.0.a'], 'cbnet published-to-cbnet'),
    'neck': (['neck.a', 'rpn_head.b'], 'no backbone; .*found neck.a'),
    'timm': (
        ['patch_embed.proj.weight', 'layers.1.downsample.norm.weight'],
        'patch merging begins its stages.*init_cfg',
    ),
}


@pytest.mark.parametrize('kind', MISTAKES)
def test_files_that_are_refused(kind):
    names, message = MISTAKES[kind]
    with pytest.raises(ValueError, match=message):
        take_apart(dict.fromkeys(names, torch.zeros(4)))


def test_what_does_not_fit_a_config():
    weights = detector('resnet').state_dict()
    weights['backbone.more'] = torch.zeros(1)
    del weights['backbone.layer2.0.conv1.weight']
    with pytest.raises(
        ValueError,
        match=r'the model lacks 1 \(backbone.members.0.more\); '
        r'the file lacks 2 \(backbone.members.\*.layer\*.\*.conv1.weight x2',
    ):
        replicate_into(take_apart(weights), detector('resnet', 2), 'c.py')
    part = take_apart(detector('resnet').state_dict())
    with pytest.raises(ValueError, match='backbone is a ResNet, expected a'):
        replicate_into(part, detector('resnet'), 'c.py')
