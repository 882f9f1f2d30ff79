"""Activation checkpointing from the command line, on published configs.

1. ``model.backbone.with_cp`` (stages, in any family) and
   ``model.backbone.member.with_cp`` (blocks) change neither maps nor
   gradients, also with drop path, and keep fewer bytes for the backward pass.
2. Both are off in every config, as published.
"""

import pytest
import torch
from mmengine.config import Config

from cbnet.testing import build_model, make_batch

from .published_recipes import CONFIGS, RECIPES, load

SMALL = {
    'dual_swin_t': {
        'model.backbone.member.embed_dims': 12,
        'model.backbone.member.depths': (1, 1, 2, 1),
        'model.backbone.member.num_heads': (1, 2, 2, 4),
        'model.neck.in_channels': [12, 24, 48, 96],
        'model.roi_head.bbox_head.fc_out_channels': 16,
    },
    'dual_r50': {'model.roi_head.bbox_head.fc_out_channels': 16},
}


def step(name, switch):
    """Return a loss on all pyramids, its gradients and the bytes they keep."""
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    changes = {'model.backbone.member.init_cfg': None, **SMALL[name]}
    cfg.merge_from_dict(changes | ({switch: True} if switch else {}))
    torch.manual_seed(0)
    model = build_model(cfg.model).train()
    batch = make_batch((1, 2), num_classes=80)
    data = model.data_preprocessor(batch, training=True)
    kept = 0

    def keep(tensor):
        nonlocal kept
        kept += tensor.nbytes
        return tensor

    torch.manual_seed(0)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        pyramids = model.backbone(data['inputs'], all_members=True)
    total = sum(level.square().mean() for maps in pyramids for level in maps)
    total.backward()
    gradients = {
        key: p.grad
        for key, p in model.named_parameters()
        if p.grad is not None
    }
    return total.detach(), gradients, kept


@pytest.mark.parametrize(
    ('name', 'switch'),
    [
        ('dual_swin_t', 'model.backbone.with_cp'),
        ('dual_swin_t', 'model.backbone.member.with_cp'),
        ('dual_r50', 'model.backbone.with_cp'),
        ('dual_r50', 'model.backbone.member.with_cp'),
    ],
)
def test_the_same_step_with_fewer_bytes(name, switch):
    plain, gradients, kept = step(name, None)
    found, others, fewer = step(name, switch)
    torch.testing.assert_close(found, plain, rtol=0, atol=0)
    assert gradients.keys() == others.keys() and gradients
    for key, gradient in gradients.items():
        torch.testing.assert_close(others[key], gradient, msg=key)
    assert fewer < 0.7 * kept


@pytest.mark.parametrize('name', RECIPES)
def test_off_as_published(name):
    backbone = load(f'dual_{name}').model.backbone
    assert not backbone.get('with_cp') and not backbone.member.get('with_cp')
