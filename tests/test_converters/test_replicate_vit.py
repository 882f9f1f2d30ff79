"""A trained detector of one ViT is put into both members of a composite.

1. before it is trained, the composite predicts, bit for bit, what the single
   detector predicted;
2. the lead gets the blocks, and the first member also what embeds patches;
3. files in the names of another code are one clear error.
"""

import pytest
import torch

from cbnet.converters.replicate import replicate_into, take_apart
from cbnet.testing import build_model, make_batch
from tests.test_models.composite_vits import tiny_vit_detector


def plain_detector():
    """The detector without a composite, as mmdet has it."""
    cfg = tiny_vit_detector('single_eva02_b')
    cfg.pop('assistance')
    return cfg | dict(type=cfg.pop('base'), backbone=cfg['backbone']['member'])


def moved(cfg):
    """Build a detector with weights that find something."""
    torch.manual_seed(0)
    model = build_model(cfg)
    for head in model.roi_head.bbox_head:
        head.fc_cls.weight.data.normal_(std=0.3)
    return model


def predictions(model):
    model.eval()
    model.roi_head.test_cfg.max_per_img = 10
    batch = model.data_preprocessor(make_batch(), training=False)
    with torch.no_grad():
        found = model.predict(batch['inputs'], batch['data_samples'])
    return [sample.pred_instances for sample in found]


@pytest.mark.parametrize('composite', [False, True])
def test_predictions_stay_the_same(composite):
    one_member = tiny_vit_detector('single_eva02_b')
    single = moved(one_member if composite else plain_detector())
    expected = predictions(single)
    dual = build_model(tiny_vit_detector('dual_eva02_b'))
    plain = take_apart(single.state_dict())
    weights, report = replicate_into(plain, dual, 'dual.py')
    assert all('.connections.' in name for name in report.new)
    assert len(report.new) == 8
    dual = build_model(tiny_vit_detector('dual_eva02_b'))
    assert not dual.load_state_dict(weights, strict=False).unexpected_keys
    assert sum(map(len, expected)) > 10
    for one, other in zip(predictions(dual), expected, strict=True):
        for key in ('bboxes', 'scores', 'labels', 'masks'):
            assert torch.equal(one[key], other[key])
    first, lead = (
        set(member.state_dict()) for member in dual.backbone.members
    )
    assert first == set(plain.member)
    assert lead == {name for name in first if name.startswith('model.blocks.')}


@pytest.mark.parametrize('prefix', ['', 'backbone.net.', 'backbone.'])
def test_names_of_another_code(prefix):
    dual = build_model(tiny_vit_detector('dual_eva02_b'))
    own = dual.backbone.members[0].state_dict()
    file = {
        prefix + name.removeprefix('model.'): value
        for name, value in own.items()
    }
    plain = take_apart(file)
    kernel = 'patch_embed.proj.weight'  # Microsoft's Swin has that name, too
    inside = prefix.removeprefix('backbone.')
    assert f'{inside}{kernel}' in plain.member
    with pytest.raises(
        ValueError,
        match=r'no name in common with the members of dual.py \(found .*'
        r'pos_embed.*expected names such as model\..*init_cfg',
    ):
        replicate_into(plain, dual, 'dual.py')
