"""Composites, and the bigger singles beside them.

1. Relatives are other sizes of the same family, and nothing else.
2. They have weights of the same training.
3. Beside each composite there is the single that is nearest to it in each
   cost that is known, by the ratio; smaller singles and those that cannot be
   members are left out.
4. Other names are refused.
"""

import pytest
import timm

from cbnet.battle import equal_cost as module
from cbnet.battle.costs import EntryCost
from cbnet.battle.equal_cost import (
    equal_cost,
    equally_pretrained,
    relatives,
)
from cbnet.errors import UserError, UserValueError


def test_relatives():
    resnets = relatives('resnet18')
    assert {'resnet34', 'resnet50', 'resnet101'} <= set(resnets)
    assert not {'resnet18', 'resnet18d', 'resnetv2_50'} & set(resnets)
    assert 'tf_efficientnet_lite4' in relatives('tf_efficientnet_lite0.in1k')
    assert 'vit_base_patch16_224' in relatives('vit_small_patch16_224')
    assert 'convnext_base' in relatives('convnext_tiny')


@pytest.mark.parametrize(
    ('name', 'some'),
    [
        ('convnext_tiny.fb_in1k', {'convnext_small.fb_in1k'}),
        ('convnext_tiny', {'convnext_small', 'convnext_nano'}),
        ('resnet18', {'resnet34', 'resnet50'}),
        ('resnet18.tv_in1k', {'resnet34.tv_in1k', 'resnet50.tv_in1k'}),
        ('tf_efficientnet_lite0', {'tf_efficientnet_lite4'}),
    ],
)
def test_equal_pretraining(name, some):
    found = {*equally_pretrained(name, relatives(name))}
    assert some <= found
    tags = {timm.get_pretrained_cfg(one).tag for one in (name, *found)}
    assert len(tags) == 1


def test_no_equal_pretraining():
    wanted = 'no bigger convnext_atto with weights of .* training .d2_in1k.'
    with pytest.raises(UserError, match=wanted):
        [*equal_cost('equal-cost:convnext_atto', COSTS.get)]


def test_nothing_is_bigger():
    def measure(entry):
        return cost(20 if 'lite4' in entry else 10, 10)

    name = 'equal-cost:random:tf_efficientnet_lite4'
    with pytest.raises(UserError, match='no bigger tf_efficientnet_lite4, be'):
        [*equal_cost(name, measure)]


def cost(parameters, macs, latency=None):
    return EntryCost(parameters, parameters, macs, latency)


COSTS = {
    'random:resnet18': cost(10, 10),
    '2x random:resnet18': cost(20, 30, 7.0),
    '3x random:resnet18': cost(30, 50),
    'random:small': cost(8, 29),
    'random:by_parameters': cost(22, 90),
    'random:by_macs': cost(90, 33),
    'random:by_both': cost(31, 55),
    'random:by_latency': cost(99, 99, 8.0),
}


def test_the_nearest(monkeypatch):
    names = [name.removeprefix('random:') for name in COSTS][3:]
    monkeypatch.setattr(module, 'relatives', lambda name: [*names, 'refused'])

    def measure(entry):
        if entry.endswith('refused'):
            raise UserValueError('it cannot be a member')
        return COSTS[entry]

    assert [*equal_cost('equal-cost:random:resnet18', measure)] == [
        'random:resnet18', '2x random:resnet18', '3x random:resnet18',
        'random:by_macs', 'random:by_parameters', 'random:by_latency',
        'random:by_both',
    ]  # fmt: skip


def test_mistakes(monkeypatch):
    with pytest.raises(UserError, match="did you mean 'resnet50'"):
        [*equal_cost('equal-cost:resnt50', COSTS.get)]
    with pytest.raises(UserError, match="did you mean 'resnet18.tv_in1k'"):
        [*equal_cost('equal-cost:resnet18.tv_ink', COSTS.get)]
    monkeypatch.setattr(module, 'relatives', lambda name: [])
    with pytest.raises(UserError, match='no bigger test_resnet with'):
        [*equal_cost('equal-cost:test_resnet', COSTS.get)]
