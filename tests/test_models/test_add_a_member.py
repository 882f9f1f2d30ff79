"""docs/add_a_member.md, followed literally.

1. the page's backbone becomes a member as it is, from the page's config,
   which `cbnet compose` turns into a twin, and is initialised;
2. the page's adapter makes it the same member;
3. a module that is no BaseModule is a member, too.
"""

import re
import sys
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS

from cbnet.models.members import adapt
from cbnet.models.members.registry import _ADAPTERS
from cbnet.testing import build_model
from cbnet.twins import TwinOptions, compose

from .staged_backbones import Stages

PAGE = Path(__file__).parents[2] / 'docs' / 'add_a_member.md'


@pytest.fixture
def blocks(tmp_path, monkeypatch):
    """Write the page's backbone and config to files; give all its blocks."""
    blocks = re.findall(r'```python\n(.*?)```', PAGE.read_text(), re.DOTALL)
    (tmp_path / 'my_net.py').write_text(blocks[0])
    (tmp_path / 'plain.py').write_text(blocks[1])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(MODELS, '_module_dict', dict(MODELS.module_dict))
    yield blocks
    for backbone in [c for c in _ADAPTERS if c.__module__ == 'my_net']:
        del _ADAPTERS[backbone]
    sys.modules.pop('my_net', None)


def test_a_backbone_of_ones_own(blocks, tmp_path):
    plain, twin = tmp_path / 'plain.py', tmp_path / 'dual.py'
    model, _ = compose(str(plain), twin, TwinOptions())
    assert [type(m).__name__ for m in model.backbone.members] == ['MyNet'] * 2
    assert [s.out_stride for s in model.backbone.adapters[0].specs] == [
        4, 8, 16, 32,
    ]  # fmt: skip


def test_an_adapter_of_ones_own(blocks):
    from my_net import MyNet

    hooked = adapt(MyNet())
    exec(blocks[2], {})
    own = adapt(MyNet())
    assert type(own).__name__ == 'MyNetAdapter'
    assert own.specs == hooked.specs and own.out_indices == hooked.out_indices
    own.backbone.load_state_dict(hooked.backbone.state_dict())

    def add(stage, size):
        return added if stage == 2 else None

    image = torch.randn(1, 3, 64, 96)
    added = torch.randn(1, own.specs[2].in_channels, 8, 12)
    found = own.run(image, add, 4).outputs
    expected = hooked.run(image, add, 4).outputs
    for i in range(4):
        assert torch.equal(found[i], expected[i])
    cfg = dict(type='CompositeBackbone', member=dict(type='MyNet'))
    composite = build_model(dict(cfg, shared_stages=1))
    composite.init_weights()
    assert len(composite(image)) == 4


def test_a_module_that_has_no_init_cfg():
    members = [Stages(), Stages()]
    composite = build_model(dict(type='CompositeBackbone', member=members))
    composite.init_weights()
    assert len(composite(torch.randn(1, 3, 64, 96))) == 4
