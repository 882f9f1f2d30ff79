"""Microsoft's Swin names and channel order are turned into mmdet's.

1. every name maps onto one of mmdet's, one to one; unknown names are
   unchanged;
2. mmdet's patch merging with the permuted weights computes what Microsoft's
   computes; without the permutation, it does not;
3. absolute positions are read in both of Microsoft's forms; wrong sizes are
   named.
"""

import re

import pytest
import torch
import torch.nn.functional as F
from mmdet.models.layers import PatchMerging

from cbnet.pretrained.layouts.swin import microsoft_to_mmdet
from cbnet.testing import build_model

from .pretrained_files import SWIN, microsoft_names, timm_swin


def test_names_map_one_to_one():
    weights = microsoft_names(timm_swin())
    found = microsoft_to_mmdet(weights)
    assert len(found) == len(weights)
    own = build_model(SWIN).state_dict()
    assert {n for n in own if n[:4] != 'norm'} <= set(found)
    for name, value in found.items():
        assert value.shape == own.get(name, value).shape
    ours = {id(value) for value in found.values()}
    changed = [name for name in weights if id(weights[name]) not in ours]
    assert changed == [name for name in weights if 'downsample' in name]


@pytest.mark.parametrize(
    'name', ['norm0.weight', 'head.weight', 'mlp.fc1.weight', 'stages.0.x']
)
def test_other_names_stay(name):
    assert list(microsoft_to_mmdet({name: torch.zeros(4)})) == [name]


def test_patch_merging():
    torch.manual_seed(0)
    x = torch.randn(2, 6, 8, 3).double()  # B, H, W, C
    parts = [x[:, i::2, j::2] for i, j in ((0, 0), (1, 0), (0, 1), (1, 1))]
    joined = torch.cat(parts, -1).flatten(1, 2)
    weight, scale, shift = torch.randn(5, 12), torch.rand(12), torch.rand(12)
    wanted = F.layer_norm(joined, (12,), scale.double(), shift.double())
    wanted = wanted @ weight.double().T
    merge = PatchMerging(3, 5).double()
    prefix = 'layers.0.downsample.'
    theirs = {
        f'{prefix}reduction.weight': weight,
        f'{prefix}norm.weight': scale,
        f'{prefix}norm.bias': shift,
    }
    ours = microsoft_to_mmdet(theirs)
    for weights, close in ((theirs, False), (ours, True)):
        state = {k.split('downsample.')[1]: v for k, v in weights.items()}
        merge.load_state_dict(state)
        found, size = merge(x.flatten(1, 2), (6, 8))
        assert size == (3, 4)
        assert ((found - wanted).abs().max() < 1e-12) == close


def test_absolute_positions():
    grid = torch.randn(1, 3, 4, 5)
    tokens = grid.flatten(2).transpose(1, 2)
    for form in (grid, tokens):
        (found,) = microsoft_to_mmdet({'absolute_pos_embed': form}).values()
        assert torch.equal(found, tokens)


@pytest.mark.parametrize('shape', [(2, 6), (8,), (2, 8, 1, 1)])
def test_a_wrong_size_is_named(shape):
    name = 'layers.0.downsample.reduction.weight'
    message = f'{name} has shape {re.escape(str(shape))}'
    with pytest.raises(ValueError, match=message):
        microsoft_to_mmdet({name: torch.zeros(shape)})
