"""What a backbone must fulfil is checked when it becomes a member.

1. a backbone of maps is served as it is;
2. its stages are found on the meta device, and where its maps overflow until
   weights are loaded;
3. the backbones of another package's scope are served, if it can be imported;
4. one that breaks an obligation is refused with the reason, and keeps no
   hook; a timm model is named.
"""

import sys

import pytest
import torch
from mmengine.registry import MODELS as ROOT

from cbnet.models.members import TimmBackbone, adapt
from cbnet.testing import build_model

from .staged_backbones import (
    Apart,
    Backwards,
    Functional,
    Large,
    Repeated,
    Restless,
    Stages,
    Tokens,
)


@pytest.mark.parametrize(
    ('kind', 'reason'),
    [
        (Apart, 'added to the input of stage 0 does not change map 1'),
        (Repeated, 'no module begins stage 2'),
        (Restless, 'with nothing added, map 0 differs from'),
        (Functional, 'no module returns the map of stage 1'),
        (Backwards, r'heights \[2, 4, 8, 16\], but none may be larger'),
        (Tokens, 'it does not return a tuple of maps'),
        (Large, 'does not run on an image of 192x288 pixels: AssertionError'),
    ],
)
def test_a_broken_obligation_is_a_refusal(kind, reason):
    backbone = kind()
    with pytest.raises(TypeError, match=f'{kind.__name__} cannot .*{reason}'):
        adapt(backbone)
    assert not any(m._forward_pre_hooks for m in backbone.modules())


def test_any_backbone_of_maps_is_served():
    adapter = adapt(Stages())
    assert [e.name for e in adapter.anatomy.entries] == [
        f'stages.{i}' for i in range(4)
    ]
    assert [s.out_stride for s in adapter.specs] == [4, 8, 16, 32]


def test_stages_are_found_without_values():
    """On the meta device, where configs are composed, they are the same."""
    assert adapt(Stages().to('meta')).anatomy == adapt(Stages()).anatomy
    with pytest.raises(NotImplementedError, match='values cannot be compared'):
        adapt(Functional().to('meta'))


def test_norms_may_normalise_what_they_see():
    """Maps beyond all numbers, as ConvAWS makes them, can be compared."""

    class Growing(Stages):
        def __init__(self):
            super().__init__()
            for stage in self.stages:
                stage.weight.data *= 1e15
            self.norms = torch.nn.ModuleList(
                torch.nn.BatchNorm2d(4) for _ in range(4)
            )
            self.stages = torch.nn.ModuleList(
                map(torch.nn.Sequential, self.stages, self.norms)
            )

    backbone = Growing().eval()
    image = torch.randn(1, 3, 64, 96)
    before = {n: x.clone() for n, x in backbone.state_dict().items()}
    assert backbone(image)[-1].isnan().any()
    assert len(adapt(backbone).specs) == 4
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, before[name]), name


class Plain(Stages):
    """All maps have one size, as in a plain ViT; each is normed when emitted.

    The norm that begins the next stage equals the one that emits the map,
    until they are trained.
    """

    def __init__(self):
        super().__init__()
        self.norms = torch.nn.ModuleList(
            torch.nn.GroupNorm(1, 4) for _ in range(4)
        )
        self.stages = torch.nn.ModuleList(
            torch.nn.Sequential(
                torch.nn.GroupNorm(1, 4), torch.nn.Conv2d(4, 4, 3, padding=1)
            )
            for _ in range(4)
        )

    def forward(self, x):
        x, maps = self.stem(x), []
        for stage, norm in zip(self.stages, self.norms, strict=True):
            x = stage(x)
            maps.append(norm(x))
        return tuple(maps)


def test_maps_of_one_size_that_are_normed_when_emitted():
    adapter = adapt(Plain())
    assert [e.name for e in adapter.anatomy.entries] == [
        f'stages.{i}.0' for i in range(4)
    ]
    assert [s.out_stride for s in adapter.specs] == [4, 4, 4, 4]


@pytest.fixture
def scope(tmp_path, monkeypatch):
    """A package called mmpretrain; gives what to write into its models."""
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / 'mmpretrain'
    package.mkdir()
    (package / '__init__.py').touch()
    (package / 'registry.py').write_text(
        'from mmengine.registry import MODELS as PARENT, Registry\n'
        "MODELS = Registry('model', parent=PARENT, scope='mmpretrain',"
        " locations=['mmpretrain.models'])\n"
    )
    yield (package / 'models.py').write_text
    for name in [n for n in sys.modules if n.split('.')[0] == 'mmpretrain']:
        del sys.modules[name]
    ROOT._children.pop('mmpretrain', None)


MAPS = """
from mmpretrain.registry import MODELS
from tests.test_models.staged_backbones import Stages
MODELS.register_module()(Stages)
"""
PRETRAIN = dict(
    type='CompositeBackbone', member=dict(type='mmpretrain.Stages')
)


def test_a_backbone_of_another_scope(scope):
    scope(MAPS)
    members = build_model(PRETRAIN).members
    assert [type(member) for member in members] == [Stages] * 2


def test_a_scope_that_cannot_be_imported(scope):
    scope('raise ImportError("mmcv is too new")')
    words = "type='mmpretrain.Stages' cannot be looked up: .*mmcv is too new"
    with pytest.raises(ValueError, match=words):
        build_model(PRETRAIN)


def test_a_scope_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(sys, 'path', [p for p in sys.path if 'site-' not in p])
    words = 'the package mmpretrain is not installed; pip install mmpretrain'
    with pytest.raises(ValueError, match=words):
        build_model(PRETRAIN)


def test_refusals_of_timm_models_name_the_model():
    reason = 'hrnet.*cannot be a member: a map added to the input of stage 1'
    with pytest.raises(ValueError, match=reason):
        TimmBackbone('hrnet_w18_small')
