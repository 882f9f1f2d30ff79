"""Migrate a published Swin config.

1. Its model equals this package's own: names, shapes, drop path rates and
   settings; also with a pretrained file and with other shared stages.
2. Frozen stages are counted differently, which is reported.
3. Settings without a counterpart end in one line that names them.
"""

import pytest

from cbnet.models.building import build_without_weights

from ..test_configs.published_recipes import load


def test_the_published_mask_rcnn(migrate):
    new, report, problem = migrate('mask_swin.py')
    ours = load('dual_swin_t')
    assert problem is None
    assert [line.split('=')[0] for line in report] == [
        'auto_scale_lr.base_batch_size'
    ]
    assert (
        new.model.backbone.shared_stages
        == ours.model.backbone['shared_stages']
    )
    member, theirs = new.model.backbone.member, ours.model.backbone.member
    for key in set(member) & set(theirs):
        one, other = (
            tuple(value) if isinstance(value, list) else value
            for value in (member[key], theirs[key])
        )
        assert one == other, key
    for key in ('optimizer', 'paramwise_cfg', 'type'):
        assert new.optim_wrapper[key] == ours.optim_wrapper[key], key
    assert new.train_cfg.max_epochs == ours.train_cfg.max_epochs == 36
    one, other = (build_without_weights(cfg) for cfg in (new, ours))
    assert {n: p.shape for n, p in one.state_dict().items()} == {
        n: p.shape for n, p in other.state_dict().items()
    }
    assert rates(one) == rates(other) and max(rates(one)) > 0.19


def rates(model):
    return [
        module.drop_prob
        for module in model.modules()
        if hasattr(module, 'drop_prob')
    ]


def test_a_pretrained_file_and_shared_stages(migrate):
    new, _, problem = migrate(
        'line.py',
        "_base_ = './mask_swin.py'\nmodel = dict(pretrained='swin.pth', "
        'backbone=dict(cb_del_stages=3))\n',
    )
    assert problem is None
    assert new.model.backbone.shared_stages == 2
    assert new.model.backbone.member.init_cfg == dict(
        type='Pretrained', checkpoint='swin.pth'
    )


def test_frozen_stages_are_reported(migrate):
    new, report, problem = migrate(
        'line.py',
        "_base_ = './mask_swin.py'\nmodel = dict(backbone=dict("
        'frozen_stages=2))\n',
    )
    assert problem is None
    assert new.model.backbone.member.frozen_stages == 1
    key = 'model.backbone.frozen_stages: 2 becomes 1'
    assert any(line.startswith(key) for line in report)


@pytest.mark.parametrize('key', ['patch_norm=False', 'use_dense=True'])
def test_settings_of_no_model_here(key, migrate, tmp_path):
    text = f"_base_ = './mask_swin.py'\nmodel = dict(backbone=dict({key}))\n"
    with pytest.raises(ValueError, match=f'backbone.{key}'):
        migrate('line.py', text)
    assert not (tmp_path / 'new' / 'line.py').exists()
