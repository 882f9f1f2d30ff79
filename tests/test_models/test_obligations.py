"""What a backbone must fulfil is checked when it becomes a member.

1. a backbone of maps is served as it is;
2. its stages are found on the meta device, and where its maps overflow until
   weights are loaded;
3. one that breaks an obligation is refused with the reason, and keeps no
   hook; a timm model is named.
"""

import pytest
import torch

from cbnet.models.members import TimmBackbone, adapt

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
        (Backwards, r'heights \[2, 4, 8, 16\], but each must be smaller'),
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


def test_refusals_of_timm_models_name_the_model():
    reason = 'hrnet.*cannot be a member: a map added to the input of stage 1'
    with pytest.raises(ValueError, match=reason):
        TimmBackbone('hrnet_w18_small')
