"""The rates of ``schedules/upgrade.py`` in the config of an upgrade.

1. Taken over as the docs say, they are factors of the rate of the config:
   the connections keep it, also where the config lowers its backbone's; the
   rest has a tenth; a frozen assistant has none.
2. One more line keeps the lead as it is.
"""

import pytest
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

from cbnet.config_files import read_config
from cbnet.testing import TINY_MEMBERS, build_model, tiny_detector

BASE = """\
model = {model}
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=0.5, weight_decay=0.05),
{settings})
"""
LOWER = """\
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}),
"""
FURTHER = """\
_base_ = ['plain.py', 'cbnet::_base_/schedules/upgrade.py']
optim_wrapper = _base_.upgrade_optim_wrapper
"""


@pytest.fixture
def rates(tmp_path):
    """Give the learning rate of each weight, by its name."""
    resnet = TINY_MEMBERS['resnet']
    backbone = dict(
        type='CompositeBackbone',
        member=[dict(type='Member', backbone=resnet, frozen=True), resnet],
        shared_stages=None,
        connection=dict(init='zero'),
    )
    model = tiny_detector('FasterRCNN', backbone)

    def rates(settings='', more=''):
        text = BASE.format(model=model, settings=settings)
        (tmp_path / 'plain.py').write_text(text)
        path = tmp_path / 'further.py'
        path.write_text(FURTHER + more)
        cfg = read_config(path, 'further.py')
        detector = build_model(cfg.model)
        with DefaultScope.overwrite_default_scope('mmdet'):
            built = build_optim_wrapper(detector, cfg.optim_wrapper)
        found = {
            id(parameter): group['lr']
            for group in built.optimizer.param_groups
            for parameter in group['params']
        }
        return {
            name: found.get(id(parameter))
            for name, parameter in detector.named_parameters()
        }

    return rates


def parts(rates):
    """Collect the rates of each part of the detector."""
    found = {}
    for name, rate in rates.items():
        place = name.removeprefix('backbone.').split('.')
        number = place[1:2] if place[0] == 'members' else []
        part = '.'.join(place[:1] + number)
        found.setdefault(part, set()).add(rate and round(rate, 6))
    return found


def test_the_connections_learn_fast(rates):
    frozen = {'members.0': {None}, 'connections': {0.5}}
    others = dict.fromkeys(('neck', 'rpn_head', 'roi_head'), {0.05})
    assert parts(rates()) == {'members.1': {0.05}, **frozen, **others}
    lowered = parts(rates(LOWER))
    assert lowered == {'members.1': {0.005}, **frozen, **others}


def test_the_lead_stays(rates):
    more = 'optim_wrapper.paramwise_cfg.lead_lr_mult = 0.0\n'
    found = parts(rates(more=more))
    assert found['members.1'] == {0.0}
    assert (found['connections'], found['neck']) == ({0.5}, {0.05})
