"""The plans of several calls on one battle, with stand-ins for measuring.

1. A dry run claims nothing, but what it measured is not measured again, as
   long as it fits.
2. An entry whose measurement failed has no config until it is measured well.
3. The folder may move and the loaders may change; another config is refused
   before it is added to the battle.
4. The warm-up is that of the option, also in a battle that was begun before
   there was such an option.
5. A file of weights that has changed since the earlier runs is refused.
6. All calls choose from the rates of all; the reference is kept.
7. GPUs that are not there are refused; the first one measures the costs, and
   costs of two devices do not come together.
8. What another process has measured meanwhile is taken over; what was measured
   before an interruption, or before a budget is refused, is kept.
9. Steps are measured on the same batch in every call.
"""

import json
import shutil

import pytest
import torch
from mmengine.runner import set_random_seed

from cbnet.battle.budgets import read_budget
from cbnet.battle.configs import Settings, entry_config
from cbnet.battle.costs import EntryCost
from cbnet.battle.data import find_data
from cbnet.battle.entries import read_entry
from cbnet.commands import battle_costs, battle_plan
from cbnet.commands.parsers.battle import make_parser

# A fixture replaces it.
first_batch = battle_costs.first_batch
SINGLE, TWIN = 'random:test_resnet', '2x random:test_resnet'


@pytest.fixture
def plan(tiny_coco, tmp_path, monkeypatch):
    """Make a plan; ``plan.measured`` counts what was measured.

    ``plan.cost`` is what each entry costs.
    """
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_coco.root, tmp_path / 'mine')

    def measure(*_):
        plan.measured += 1
        return plan.cost

    def plan(*options, entries=(SINGLE,), out='out', budget='10s'):
        plan.measured = 0
        args = make_parser().parse_args(
            ['--data-root', 'mine', '--entries', *entries, '--out', out]
            + ['--head', 'mask-rcnn-small', '--scale', '96,64', *options]
        )
        args.budget = read_budget(budget)
        return battle_plan.make_plan(args)

    plan.cost = EntryCost(1, 1, step=0.1)
    monkeypatch.setattr(battle_costs, 'measure_entry', measure)
    monkeypatch.setattr(battle_costs, 'first_batch', lambda *_: {})
    monkeypatch.setattr(battle_plan, 'check_weights', lambda *_: None)
    return plan


def manifest(folder='out'):
    with open(f'{folder}/battle.json') as file:
        return json.load(file)


def test_a_dry_run_claims_nothing(plan, tmp_path):
    made = plan('--dry-run', entries=[SINGLE, TWIN], budget='20s')
    assert plan.measured == 2 and made.contests[0].steps == 200
    kept = {one.name for one in (tmp_path / 'out').iterdir()}
    assert kept == {'dry_run.json', '.lock'}
    plan('--batch-size', '1', '--dry-run')
    assert plan.measured == 1  # another batch costs something else
    made = plan(entries=[TWIN])
    assert plan.measured == 0 and made.contests[0].steps == 100
    assert [*manifest()['entries']] == [TWIN]
    assert [*json.loads((tmp_path / 'out/costs.json').read_text())] == [TWIN]
    plan('--dry-run')
    assert [*manifest()['entries']] == [TWIN]


def test_a_measurement_that_failed(plan, tmp_path):
    plan.cost = EntryCost(1, 1, failed='too little memory')
    (contest,) = plan().contests
    assert contest.cost.failed and not (tmp_path / 'out/configs').exists()
    plan.cost = EntryCost(1, 1, step=0.1)
    (contest,) = plan().contests
    assert contest.cost.failed and plan.measured == 0
    (contest,) = plan('--retry-failed').contests
    assert contest.steps == 100
    assert 'max_iters=100' in (tmp_path / contest.config).read_text()


def test_what_configs_may_change(plan, tmp_path):
    plan()
    (tmp_path / 'out').rename(tmp_path / 'moved')
    (tmp_path / 'data').mkdir()
    (tmp_path / 'mine').rename(tmp_path / 'data' / 'mine')
    (tmp_path / 'mine').symlink_to(tmp_path / 'data' / 'mine')
    (contest,) = plan('--workers', '1', out='moved').contests
    file = tmp_path / contest.config
    text = file.read_text()
    assert 'num_workers=1' in text and '/moved/data/mine/test.json' in text
    # As if the battle had been begun with another version.
    file.write_text(text.replace('max_norm=5', 'max_norm=7'))
    with pytest.raises(ValueError, match='another config') as error:
        plan(entries=[SINGLE, TWIN], out='moved')
    assert 'optim_wrapper.clip_grad.max_norm is 7, not 5' in str(error.value)
    assert 'the versions of cbnet and mmdet of before' in str(error.value)
    assert [*manifest('moved')['entries']] == [SINGLE]


def test_the_warm_up(plan, tmp_path):
    (contest,) = plan('--warm-up', '0.3').contests
    assert 'begin=30,' in (tmp_path / contest.config).read_text()
    (contest,) = plan(out='usual').contests
    assert 'begin=10,' in (tmp_path / contest.config).read_text()
    before = manifest('usual')
    del before['identity']['warm_up']
    (tmp_path / 'usual' / 'battle.json').write_text(json.dumps(before))
    plan(out='usual')
    with pytest.raises(ValueError, match='its warm_up is None, not 0.3'):
        plan('--warm-up', '0.3', entries=[TWIN], out='usual')


@pytest.mark.parametrize(
    'entry',
    [
        'test_resnet=mine.pth, name=mine',
        'frozen:test_vit=mine.pth + random:test_resnet, name=mine',
        'mine.py, name=mine',
        'mine.yml',
    ],
)
def test_a_file_of_weights_that_has_changed(plan, tmp_path, entry):
    """It is named beside a member, in a config, or in an entry's cfg."""
    file = tmp_path / 'mine.pth'
    file.write_bytes(b'some weights')
    given = "dict(type='Pretrained', checkpoint='mine.pth')"
    (tmp_path / 'mine.py').write_text(
        f"model = dict(backbone=dict(type='TimmBackbone', "
        f"model_name='test_resnet', init_cfg={given}))"
    )
    (tmp_path / 'mine.yml').write_text(
        f'- entry: {SINGLE}\n  name: mine\n  cfg: {{model.backbone.member: '
        f'{{init_cfg: {{_delete_: true, type: Pretrained, '
        f'checkpoint: mine.pth}}}}}}'
    )
    entries = [entry, SINGLE]
    plan(entries=entries)
    plan(entries=entries)
    file.write_bytes(b'weights of a later training')
    with pytest.raises(ValueError, match='another battle') as error:
        plan(entries=entries)
    assert "its entries mine.weights.mine.pth is '" in str(error.value)
    plan(entries=[SINGLE])


def test_rates_and_the_reference(plan):
    # Folders are named after six digits.
    rates = '2e-3', '1e-3', '1.00000001e-3'
    assert plan('--lrs', *rates).lrs == (2e-3, 1e-3)
    made = plan('--lrs', '5e-4', '--reference', SINGLE, entries=[TWIN])
    assert made.lrs == (2e-3, 1e-3, 5e-4)
    assert manifest()['reference'] == SINGLE
    assert plan(entries=[TWIN]).lrs == (2e-3, 1e-3, 5e-4)
    assert manifest()['reference'] == SINGLE
    with pytest.raises(ValueError, match="'x' is no entry") as error:
        plan('--reference', 'x')
    assert str(error.value).endswith(f'; name one of {SINGLE}, {TWIN}')


@pytest.mark.parametrize(
    ('count', 'device', 'advice'),
    [
        (0, '0', 'finds 0 GPUs on this machine; leave the option out'),
        (2, '2', 'finds 2 GPUs on this machine; give numbers from 0 to 1'),
        (2, 'x', 'finds 2 GPUs on this machine; give numbers from 0 to 1'),
    ],
)
def test_devices(plan, tmp_path, monkeypatch, count, device, advice):
    chosen = []
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: count)
    monkeypatch.setattr(torch.cuda, 'set_device', chosen.append)
    with pytest.raises(ValueError, match=f'--devices {device}: .*{advice}'):
        plan('--devices', device)
    assert not (tmp_path / 'out').exists()
    if count:
        assert plan('--devices', '1', '0').contests
        assert chosen == [1]  # it measures the costs


def test_costs_of_two_devices(plan, tmp_path):
    plan.cost = EntryCost(1, 1, step=0.1, device='a GPU')
    plan()
    assert plan() and plan.measured == 0  # such as in a job on another device
    with pytest.raises(ValueError, match="'a GPU', and that .* on 'cpu'"):
        plan(entries=[SINGLE, TWIN])
    assert plan.measured == 0 and [*manifest()['entries']] == [SINGLE]


def test_measuring_that_is_interrupted(plan, monkeypatch):
    measure = battle_costs.measure_entry

    def once(*args):
        if plan.measured:
            raise KeyboardInterrupt
        return measure(*args)

    with monkeypatch.context() as patch:
        patch.setattr(battle_costs, 'measure_entry', once)
        with pytest.raises(KeyboardInterrupt):
            plan(entries=[SINGLE, TWIN])
    plan(entries=[SINGLE, TWIN])
    assert plan.measured == 1


def test_the_advice_of_a_budget_that_is_refused(plan, tmp_path):
    plan.cost = EntryCost(1, 1, step=1.0)
    with pytest.raises(ValueError, match='give at least 2s'):
        plan(budget='1s')
    assert not (tmp_path / 'out' / 'battle.json').exists()
    plan.cost = EntryCost(1, 1, step=1.01)  # no two measurements are equal
    (contest,) = plan(budget='2s').contests
    assert contest.steps == 2 and plan.measured == 0


def test_another_process_has_measured_first(plan, monkeypatch, tmp_path):
    lay_out, others = battle_plan.Layout.contests, [[TWIN, SINGLE]]

    def meanwhile(*args):
        if others:
            plan.cost = EntryCost(1, 1, step=0.05)
            plan(entries=others.pop())
        return lay_out(*args)

    monkeypatch.setattr(battle_plan.Layout, 'contests', meanwhile)
    (contest,) = plan().contests
    assert contest.steps == 200 and contest.cost.step == 0.05
    assert 'max_iters=200' in (tmp_path / contest.config).read_text()
    assert set(manifest()['entries']) == {SINGLE, TWIN}


def test_entries_of_equal_cost_are_found_once(plan, monkeypatch):
    texts = []

    def find(text, _):
        texts.append(text)
        return [SINGLE, TWIN]

    monkeypatch.setattr(battle_costs, 'equal_cost', find)
    for options in (['--dry-run'], ['--dry-run'], [], ['--seeds', '9']):
        made = plan(*options, entries=['equal-cost:x'])
        assert [one.entry.name for one in made.contests] == [SINGLE, TWIN]
    assert texts == ['equal-cost:x']


def test_the_batch_that_is_measured(tiny_coco, tmp_path):
    """It is the same in every call, although images are drawn and flipped."""
    settings = Settings('plain', 'mask-rcnn-small', (96, 64), workers=0)
    cfg = entry_config(read_entry(SINGLE), settings)
    data, *_ = find_data([tiny_coco.root], tmp_path / 'data')
    batches = []
    for seed in range(6):
        set_random_seed(seed)
        batches.append(first_batch(cfg, data, settings))
    first, *others = [torch.stack(one['inputs']) for one in batches]
    assert all(torch.equal(first, other) for other in others)
