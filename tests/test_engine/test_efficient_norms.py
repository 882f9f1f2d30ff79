"""mmengine's ``efficient_conv_bn_eval`` on the stages of a composite.

With norms in eval mode, as ResNets train, and in train mode, losses and
gradients are those without it, under the same names; pages show its key as it
is tested here.
"""

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.model.efficient_conv_bn_eval import (
    turn_on_efficient_conv_bn_eval,
)

from cbnet.testing import build_model, tiny_composite, tiny_detector

from ..test_models.detector_pairs import open_connections

KEY = """\
efficient_conv_bn_eval = [
    f'backbone.members.{k}.layer{i}' for k in (0, 1) for i in (1, 2, 3, 4)
]
"""


@pytest.mark.parametrize('norm_eval', [True, False])
def test_the_same_gradients(norm_eval, tmp_path):
    cfg = tiny_composite('resnet_bottleneck', shared_stages=1)
    cfg['member']['norm_eval'] = norm_eval
    model = build_model(
        dict(tiny_detector('RetinaNet'), backbone=cfg)
    ).double()
    open_connections(model)
    for name, buffer in model.backbone.named_buffers():
        if name.endswith('running_var'):
            buffer.uniform_(0.5, 2)
    efficient = copy.deepcopy(model)
    path = tmp_path / 'config.py'
    path.write_text(KEY)
    names = Config.fromfile(path).efficient_conv_bn_eval
    turn_on_efficient_conv_bn_eval(efficient, names)
    x, found = torch.randn(2, 3, 64, 96, dtype=torch.double), []
    for one in (model, efficient):
        maps = one.train().backbone(x)
        sum(y.square().mean() for y in maps).backward()
        found.append({n: p.grad for n, p in one.backbone.named_parameters()})
    assert list(found[0]) == list(found[1])
    assert sum(g is not None for g in found[0].values()) > 100
    for name, gradient in found[0].items():
        if gradient is None:
            assert found[1][name] is None
        else:
            torch.testing.assert_close(found[1][name], gradient, msg=name)


def test_the_page_shows_the_key():
    page = Path(__file__).parents[2] / 'docs' / 'speed_cnn.md'
    assert f'```python\n{KEY}```' in page.read_text()
