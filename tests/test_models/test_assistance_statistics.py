"""Whose features move the running statistics of shared norms.

By default the lead's alone: after a training step the statistics of neck and
heads are those of the plain detector.  ``lead_statistics=False`` lets the
assistants move them too, as published.
"""

import pytest
import torch

from cbnet.testing import build_model, tiny_composite, tiny_detector

from .detector_pairs import losses_of, tiny_dual_swin_l

ALL_MEMBERS = dict(lead_statistics=False)


def retinanet():
    """A detector with norms in its neck."""
    cfg = tiny_detector('RetinaNet', tiny_composite())
    cfg['neck']['norm_cfg'] = dict(type='BN')
    return cfg | dict(type='AssistedDetector', base='RetinaNet')


def statistics(model, assistance):
    """Running statistics outside the backbone after one training step."""
    losses = losses_of(model)
    model.parse_losses(losses)[0].backward()
    assert assistance == any(name.startswith('assist0.') for name in losses)
    return {
        name: value
        for name, value in model.named_buffers()
        if not name.startswith(('backbone.', 'data_preprocessor.'))
    }


@pytest.mark.parametrize(
    'make_config', [retinanet, tiny_dual_swin_l], ids=['neck', 'box_heads']
)
def test_the_lead_alone_by_default(make_config):
    cfg = make_config()
    assisted, mixed = (
        build_model(cfg | dict(assistance=options))
        for options in (None, ALL_MEMBERS)
    )
    base = cfg.pop('base')
    cfg.pop('assistance', None)
    plain = build_model(cfg | dict(type=base))
    mixed.load_state_dict(plain.state_dict())
    assisted.load_state_dict(plain.state_dict())
    before = {name: value.clone() for name, value in plain.named_buffers()}
    expected = statistics(plain, False)
    found, others = statistics(assisted, True), statistics(mixed, True)
    assert any(name.endswith('running_var') for name in expected)
    for name, value in expected.items():
        assert not torch.equal(value, before[name]), name
        assert torch.equal(found[name], value), name
        assert not torch.equal(others[name], value), name
