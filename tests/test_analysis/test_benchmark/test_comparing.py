"""Candidates that run, what is found for them, and how it is written.

- the parts of a pass, also those of a training step, add up to its time;
- the same weights give the same maps, a changed one another; others are not
  compared; a backbone alone counts only itself;
- the JSON holds every time and every setting; the tables and figures show it.
"""

import json
from dataclasses import replace

import pytest
import torch

from cbnet.analysis.benchmark.candidates import make_candidate
from cbnet.analysis.benchmark.comparing import compare, difference
from cbnet.analysis.benchmark.figure import draw
from cbnet.analysis.benchmark.report import Point, as_json, markdown

INFERENCE = {
    'data', 'member 0 (assistant)', 'member 1 (lead)', 'connections', 'neck',
    'rpn_head', 'roi_head', 'post-processing', 'mask pasting', 'the rest',
}  # fmt: skip


@pytest.mark.parametrize('member', ['resnet', 'swin'])
def test_parts_of_inference(member, make):
    candidate = make(member=member)
    before = {n: set(vars(m)) for n, m in candidate.detector.named_modules()}
    parts = candidate.parts()
    assert parts.keys() == INFERENCE and list(parts)[-1] == 'the rest'
    assert all(seconds > 0 for seconds in parts.values())
    after = {n: set(vars(m)) for n, m in candidate.detector.named_modules()}
    assert after == before  # nothing stays wrapped


def test_parts_of_a_training_step(make):
    candidate = make(train=True, batch=2)
    parts = candidate.parts()
    assert list(parts)[-1] == 'backward and the rest'
    assert parts.keys() >= {'neck', 'rpn_head', 'roi_head', 'connections'}
    weights = candidate.detector.parameters()
    assert all(one.grad is None for one in weights)


@pytest.mark.parametrize('dtype', ['fp32', 'bf16'])
@pytest.mark.parametrize('train', [False, True])
def test_a_backbone_alone(dtype, train, make):
    one = make('one', members=1, only='backbone', dtype=dtype, train=train)
    two = make('two', members=2, only='backbone', dtype=dtype, train=train)
    own = sum(p.numel() for p in two.detector.backbone.parameters())
    assert two.parameters == own and one.macs < two.macs
    _, found = compare([one, two], 1, warm_up=0, part_passes=1)
    assert found.difference is None  # two models are not compared
    expected = found.ratio.median / (two.macs / one.macs)
    assert found.per_flop.median == pytest.approx(expected)
    assert 'neck' not in found.parts and 'evaluation' not in found.parts


def test_outputs_of_the_same_weights(make):
    first = make('first')
    again = make('again', known=[first.detector.state_dict()])
    expected = first.outputs()
    assert difference(again, first, expected) == 0.0
    again = replace(again, setting=replace(again.setting, dtype='bf16'))
    assert 0 < difference(again, first, expected) < 0.1
    stem = again.detector.backbone.members[0].conv1
    with torch.no_grad():
        stem.weight += 1
    assert difference(again, first, expected) is None


def test_weights_of_others_are_taken_where_they_fit(make):
    first = make('first', members=1)
    torch.nn.init.constant_(first.detector.rpn_head.rpn_cls.bias, 7.0)
    states = [make('other').detector.state_dict(), first.detector.state_dict()]
    same = make('same', members=1, known=states)
    assert float(same.detector.rpn_head.rpn_cls.bias.detach()[0]) == 7.0


def test_what_is_written(make, tmp_path):
    first = make('first')
    second = make('second', known=[first.detector.state_dict()])
    results = compare([first, second], 2, warm_up=0, part_passes=1)
    assert 'evaluation' in results[0].parts
    assert (results[0].ratio.median, results[1].difference) == (1.0, 0.0)
    points = [Point(first.setting, results, f'batch {n}') for n in (1, 2)]
    content = json.loads(json.dumps(as_json(points, 'batch')))
    assert content['sweep'] == 'batch' and len(content['points']) == 2
    one = content['points'][1]
    assert one['swept'] == 'batch 2' and one['setting']['shape'] == [64, 96]
    assert 'batch_of' not in one['setting']
    kept = one['results'][1]
    assert len(kept['times']['seconds']) == 2
    assert kept['macs'] == second.macs and kept['memory'] > 0
    assert kept['ratio'].keys() == {'median', 'low', 'high'}
    assert content['machine']['device'] == 'CPU'
    text = markdown(points)
    assert text.count('\n| second') == 2 and '| mask pasting' in text
    assert '0.0e+00' in text
    for number, some in enumerate((points, points[:1])):
        file = tmp_path / f'{number}.png'
        draw(some, 'batch').savefig(file)
        assert file.stat().st_size > 5000


def test_a_config_that_does_not_build():
    from mmengine.config import Config

    with pytest.raises(ValueError, match='^odd cannot be built: '):
        make_candidate('odd', Config(dict(model=dict(type='No'))), None)
