"""Norms folded into convolutions: the same maps, and weights as they were.

1. in every family of members, maps are equal to 1e-5; in those of mmdet no
   batch norm is left, also in connections, frozen members, necks and heads;
2. undone, names, weights and maps are what they were, to the last bit; in
   train mode, nothing is folded;
3. what cannot be folded stays: norms before convolutions, convolutions that
   several norms read or whose weights are computed, hooks, cached members;
4. with channels-last weights, no map is laid out otherwise, from the members
   to the heads, but those of RoIAlign.
"""

import copy

import pytest
import torch
from mmcv.cnn import ConvModule
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from cbnet.models.folded_norms import fold_norms
from cbnet.testing import (
    TINY_MEMBERS,
    build_model,
    make_batch,
    tiny_composite,
    tiny_detector,
)

from .detector_pairs import BASES

#: the families whose blocks are known, so that no norm is left
KNOWN = [
    'resnet', 'resnet_deep_stem', 'resnet_bottleneck', 'resnet_v1d',
    'resnext', 'res2net', 'regnet',
]  # fmt: skip


def trained(model):
    """Give every norm statistics and weights as of a trained model."""
    for part in model.modules():
        if getattr(part, 'running_mean', None) is not None:
            nn.init.normal_(part.running_mean, std=0.3)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
            nn.init.normal_(part.weight, 1.0, 0.3)
            nn.init.normal_(part.bias, std=0.3)
    return model.eval()


def norms(model):
    return [
        name
        for name, part in model.named_modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm)
    ]


def assert_close(found, expected):
    for y, z in zip(found, expected, strict=True):
        assert (y - z).abs().max() <= 1e-5 * z.abs().max()


@pytest.mark.parametrize('member', TINY_MEMBERS)
@torch.no_grad()
def test_the_same_maps_and_weights(member):
    model = trained(build_model(tiny_composite(member)))
    x, names = torch.randn(2, 3, 64, 96), norms(model)
    before, expected = copy.deepcopy(model.state_dict()), model(x)
    restore = fold_norms(model)
    assert_close(model(x), expected)
    left = norms(model)
    assert not [name for name in left if name.startswith('connections')]
    assert member not in KNOWN or (names and not left)
    restore()
    assert norms(model) == names
    after = model.state_dict()
    assert list(after) == list(before)
    for name, value in before.items():
        assert torch.equal(after[name], value), name
    for y, z in zip(model(x), expected, strict=True):
        assert torch.equal(y, z)


def with_norms(base, frozen=False):
    """A detector with norms in each of its parts."""
    member = dict(type='Member', backbone=tiny_composite()['member'])
    members = [dict(member, frozen=frozen), member]
    cfg = tiny_detector(base, tiny_composite())
    cfg['backbone'].update(member=members, shared_stages=None)
    norm = dict(norm_cfg=dict(type='BN'))
    cfg['neck'].update(norm)
    if 'roi_head' in cfg:
        heads = [cfg['roi_head'].get(n) for n in ('bbox_head', 'mask_head')]
        for head in heads:
            for part in head if isinstance(head, list) else [head]:
                if part:
                    part.update(norm, type=_convolutional(part['type']))
    return trained(build_model(cfg))


def _convolutional(kind):
    return kind.replace('Shared2FC', 'Shared4Conv1FC')


@pytest.mark.parametrize('base', BASES)
@torch.no_grad()
def test_the_same_detections(base):
    # In float32, regions move by less than a pixel's millionth, which RoIAlign
    # and untrained heads enlarge.
    model = with_norms(base, frozen=True).double()
    cfg = model.test_cfg
    cfg.get('rcnn', cfg).score_thr = 0.0
    batch = model.data_preprocessor(make_batch())
    plain = model._forward(batch['inputs'], batch['data_samples'])
    fold_norms(model)
    assert not norms(model)
    assert_close(
        _flat(model._forward(batch['inputs'], batch['data_samples'])),
        _flat(plain),
    )


def _flat(value):
    if isinstance(value, torch.Tensor):
        return [value] if value.is_floating_point() else []
    return [y for part in value for y in _flat(part)]


def test_nothing_is_folded_in_train_mode():
    model = trained(build_model(tiny_composite())).train()
    names = norms(model)
    fold_norms(model)
    assert norms(model) == names


class TwoNorms(nn.Module):
    """One convolution for two norms, as in the heads of RTMDet."""

    def __init__(self):
        super().__init__()
        conv = nn.Conv2d(4, 4, 1)
        self.first = nn.Sequential(conv, nn.BatchNorm2d(4))
        self.second = nn.Sequential(conv, nn.BatchNorm2d(4))

    def forward(self, x):
        return self.second(self.first(x))


def before_the_convolution():
    order = ('norm', 'conv', 'act')
    return ConvModule(4, 4, 1, norm_cfg=dict(type='BN'), order=order)


def computed_weights():
    conv = weight_norm(nn.Conv2d(4, 4, 1))
    return nn.Sequential(conv, nn.BatchNorm2d(4))


def standardised_weights():
    return ConvModule(
        4, 4, 1, conv_cfg=dict(type='ConvAWS'), norm_cfg=dict(type='BN')
    )


def watched():
    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    model[0].register_forward_hook(lambda module, args, y: y + 1)
    return model


def not_next_to_each_other():
    return nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(), nn.BatchNorm2d(4))


def statistics_of_the_batch():
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    return nn.Sequential(nn.Conv2d(4, 4, 1), norm)


@pytest.mark.parametrize(
    'make',
    [
        TwoNorms,
        before_the_convolution,
        computed_weights,
        standardised_weights,
        watched,
        not_next_to_each_other,
        statistics_of_the_batch,
    ],
)
@torch.no_grad()
def test_what_cannot_be_folded_stays(make):
    model = trained(make())
    names, x = norms(model), torch.randn(2, 4, 5, 5)
    expected = model(x)
    fold_norms(model)
    assert names and norms(model) == names
    assert torch.equal(model(x), expected)


def test_cached_members_stay(tmp_path):
    """Their maps are found by their weights."""
    backbone = tiny_composite()['member']
    cached = dict(
        type='Member',
        backbone=backbone,
        frozen=True,
        cache=dict(folder=str(tmp_path)),
    )
    cfg = tiny_composite(shared_stages=None)
    model = trained(build_model(dict(cfg, member=[cached, backbone])))
    fold_norms(model)
    left = norms(model)
    assert left and all(name.startswith('members.0.') for name in left)


def other_layouts(model, run):
    """The modules whose maps are not channels last."""
    found, handles = [], []

    def watch(name):
        def see(module, args, output):
            several = isinstance(output, list | tuple)
            for y in output if several else [output]:
                if isinstance(y, torch.Tensor) and y.ndim == 4:
                    if not y.is_contiguous(memory_format=torch.channels_last):
                        found.append(f'{name}: {type(module).__name__}')

        return see

    for name, part in model.named_modules():
        handles.append(part.register_forward_hook(watch(name)))
    run()
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize('folded', [False, True])
@pytest.mark.parametrize('base', ['MaskRCNN', 'RetinaNet'])
@torch.no_grad()
def test_channels_last_from_end_to_end(base, folded):
    model = with_norms(base)
    cfg = model.test_cfg
    cfg.get('rcnn', cfg).score_thr = 0.0
    if folded:
        fold_norms(model)
    batch = make_batch()
    plain = other_layouts(model, lambda: model.test_step(batch))
    model.to(memory_format=torch.channels_last)
    found = other_layouts(model, lambda: model.test_step(batch))
    assert len(plain) > 50
    found = [name for name in found if 'roi_extractor' not in name]
    assert not found


@pytest.mark.parametrize('member', [*KNOWN, 'timm_resnet'])
@torch.no_grad()
def test_channels_last_members(member):
    model = build_model(tiny_composite(member, style='fcc')).eval()
    x = torch.randn(2, 3, 64, 96)
    model.to(memory_format=torch.channels_last)
    assert not other_layouts(model, lambda: model(x))
