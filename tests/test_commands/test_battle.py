"""A battle of two tiny entries, with two steps on a few tiny images.

Except in the first test, stand-ins write what training and evaluation leave.

0. It trains, evaluates, and writes tables and a report.
1. It chooses the rate on one split and evaluates the chosen one on another;
   stopped in the middle, it loses no run; when all is done, it runs nothing.
   A run that fails is a row with its reason, and is tried again on demand.
2. More entries and seeds add to the tables; options that change runs do not.
3. A dry run counts and estimates without training. Entries of equal cost are
   kept only if all costs were measured.
4. Trained models are tried on corrupted images, each once; a new corruption
   tries no other one again.
5. A run that another process works on is left to it.
6. Mistakes end in one sentence before anything is trained.
"""

import csv
import json
import shutil
import sys
from pathlib import Path

import pytest

from cbnet.battle import corruptions
from cbnet.commands import battle as battle_command
from cbnet.commands import battle_costs
from cbnet.commands import main as entry
from cbnet.commands.command_queue import (
    CommandFailed,
    CommandQueue,
    Interrupted,
)
from cbnet.commands.run_lock import RunIsBusy, locked

SINGLE, TWIN = 'random:test_resnet', '2x random:test_resnet'
BATTLE = [
    'battle', '--data-root', 'mine', '--head', 'mask-rcnn-small', '--scale',
    '96,64', '--budget', '2it', '--seeds', '1', '--out', 'out', '--workers',
    '0', '--timed', '1', '--bootstrap', '20',
]  # fmt: skip


@pytest.fixture
def battle(tiny_coco, tmp_path, run_command, monkeypatch):
    """Run a battle whose commands run in this process; give what it said.

    ``battle.calls`` lists the commands. ``battle.broken`` is a part of the
    arguments of one that fails, ``battle.stopped`` of one that is stopped;
    ``battle.real`` runs them, and does not only leave their files.
    """
    shutil.copytree(tiny_coco.root, tmp_path / 'mine')

    def here(self, arguments, *args, **options):
        text = ' '.join(arguments)
        if battle.stopped and battle.stopped in text:
            raise Interrupted
        battle.calls.append(arguments)
        if battle.broken and battle.broken in text:
            raise CommandFailed('failed', 'iteration 1: loss is nan')
        if battle.real:
            entry.main(arguments)
        else:
            leave_files(arguments)

    def battle(*arguments):
        battle.calls = []
        return run_command(*BATTLE, *arguments)

    battle.broken = battle.stopped = battle.real = ''
    monkeypatch.setattr(CommandQueue, 'run', here)
    return battle


def leave_files(arguments):
    """Leave a checkpoint, or the results of an evaluation."""
    folder = Path(arguments[arguments.index('--work-dir') + 1])
    if arguments[0] == 'train':
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'last_checkpoint').write_text(f'{folder}/iter_2.pth')
        return
    truth = 'val' if arguments[1].endswith('.val.py') else 'test'
    content = json.loads(Path(f'out/data/mine/{truth}.json').read_text())
    found = [a | dict(score=0.5) for a in content['annotations']]
    place = folder / 'time' / 'metrics.json'
    place.parent.mkdir(parents=True)
    place.write_text('{}')
    (folder / 'results.bbox.json').write_text(json.dumps(found))


def called(battle):
    """Give the command, the rate's folder and the split of each call."""
    found = []
    for call in battle.calls:
        folder = call[call.index('--work-dir') + 1].split('/')
        lr = next(part for part in folder if part.startswith('lr-'))
        found.append((call[0], folder[3], lr[3:], folder[-1]))
    return found


def rows(folder):
    with (folder / 'results.csv').open() as file:
        return {row['entry']: row for row in csv.DictReader(file)}


def test_real_commands(battle, tmp_path, stand_in_corruptions):
    battle.real = True
    options = ['--corruptions', 'fog', '--severities', '5']
    (tmp_path / 'mine').rename(tmp_path / 'all, mine')
    options += ['--data-root', 'all, mine', '--out', 'my, [out]']
    status, said = battle('--entries', SINGLE, '--lrs', '1e-3', *options)
    assert status == 0, said
    assert [call[0] for call in battle.calls] == ['train', 'test', 'test']
    assert {call[:2] for call in stand_in_corruptions} == {('fog', 5)}
    assert len(stand_in_corruptions) == 2  # images
    row = rows(tmp_path / 'my, [out]')[SINGLE]
    for kind in ('box', 'mask'):
        assert 0 <= float(row[f'{kind} AP']) <= 1
    assert float(row['latency']) > 0
    report = json.loads((tmp_path / 'my, [out]/results.json').read_text())
    assert report['battle']['data']['all, mine']['fingerprint']
    assert report['battle']['environment']['packages']['torch']
    assert set(report['runs'][0]['classes']['box']) == {'square', 'triangle'}


def test_a_battle(battle, tmp_path):
    rates = ['--lrs', '1e-3', '2e-3']
    entries = ['--entries', SINGLE, TWIN]
    battle.broken, battle.stopped = f'{SINGLE}/lr-0.002', f'2x_{SINGLE}'
    status, said = battle(*entries, *rates)
    assert status == 1 and 'interrupted; the same command continues' in said
    assert called(battle) == [
        ('train', SINGLE, '0.001', 'seed-0'),
        ('test', SINGLE, '0.001', 'val'),
        ('train', SINGLE, '0.002', 'seed-0'),
        ('test', SINGLE, '0.001', 'test'),
    ]
    val = json.loads((tmp_path / 'out/data/mine/val.json').read_text())
    config = battle.calls[1][1]
    assert config.endswith('.val.py') and len(val['images']) == 1

    battle.broken = battle.stopped = ''
    status, said = battle(*entries, *rates)
    twin = f'2x_{SINGLE}'
    assert status == 2 and '1 of the runs failed' in said
    assert [call[:3] for call in called(battle)] == [
        ('train', twin, '0.001'), ('test', twin, '0.001'),
        ('train', twin, '0.002'), ('test', twin, '0.002'),
        ('test', twin, called(battle)[-1][2]),
    ]  # fmt: skip
    found = rows(tmp_path / 'out')
    assert found[SINGLE]['failed'].endswith('iteration 1: loss is nan')
    assert found[TWIN]['failed'] == ''
    assert float(found[TWIN]['box AP']) > 0.999

    status, said = battle(*entries, *rates, '--retry-failed')
    assert status == 0 and 'measuring' not in said, said
    assert called(battle)[:2] == [
        ('train', SINGLE, '0.002', 'seed-0'),
        ('test', SINGLE, '0.002', 'val'),
    ]
    status, said = battle(*entries, *rates)
    assert status == 0 and battle.calls == []

    status, said = battle('--entries', TWIN, *rates, '--seeds', '2')
    assert status == 0, said
    assert [call[::3] for call in called(battle)] == [
        ('train', 'seed-1'), ('test', 'test'),
    ]  # fmt: skip
    found = rows(tmp_path / 'out')
    assert found[TWIN]['seeds'] == '2' and found[SINGLE]['seeds'] == '1'
    for changed, key in (
        (['--batch-size', '1'], 'batch_size is 2, not 1'),
        (['--budget', '1ep'], "budget is '2it', not '1ep'"),
        (['--warm-up', '0.3'], 'warm_up is None, not 0.3'),
        (['--head', 'retinanet'], "head is 'mask-rcnn-small', not"),
    ):
        status, said = battle(*entries, *rates, *changed)
        assert status == 2 and battle.calls == []
        assert f'--out out holds another battle: its {key}' in said
    image = next((tmp_path / 'mine' / 'val').iterdir())
    image.write_bytes(image.read_bytes() + b' ')
    status, said = battle('--entries', SINGLE, *rates)
    assert status == 2 and 'its data mine.fingerprint is' in said


def test_two_commands_at_a_time(battle, tmp_path):
    rates = ['--lrs', '1e-3', '2e-3']
    status, said = battle('--entries', TWIN, *rates)
    assert status == 0, said
    runs = tmp_path / 'out' / 'runs' / 'mine' / SINGLE
    with locked(runs / 'lr-0.002' / 'seed-0'):
        status, said = battle('--entries', SINGLE, *rates)
    assert status == 0, said
    assert 'another process is working in out/runs/mine/random:test_' in said
    assert 'runs that are left to other processes: 1; ' in said
    assert ('train', SINGLE, '0.001', 'seed-0') in called(battle)
    found = rows(tmp_path / 'out')[SINGLE]
    assert not found['box AP'] and not found['failed']

    status, said = battle('--entries', SINGLE, *rates)
    assert status == 0 and 'left to' not in said
    assert rows(tmp_path / 'out')[SINGLE]['box AP']


def test_a_dry_run(battle, tmp_path, monkeypatch):
    options = ['--entries', SINGLE, '--seeds', '3', '--lrs', '1e-3', '2e-3']
    status, said = battle(*options, '--dry-run', '--price-per-hour', '2')
    assert status == 0, said
    assert battle.calls == []
    assert '4 trainings: entries 1, data sets 1, rates 2, seeds 3' in said
    assert 'minute of a device, and 0.' in said and 'MACs [G]' in said
    assert not (tmp_path / 'out' / 'runs').exists()
    words = ['cbnet', *BATTLE, *options, '--slurm', 'jobs.sh']
    monkeypatch.setattr(sys, 'argv', words)
    status, said = battle(*options, '--slurm', 'jobs.sh')
    assert status == 0 and 'measuring' not in said
    assert 'the costs were measured on the CPU of this machine' in said
    script = (tmp_path / 'jobs.sh').read_text()
    assert '--array=1-1\n' in script and '--slurm jobs.sh' not in script
    assert f'exec {sys.executable} -m cbnet battle' in script
    assert '--only "$SLURM_ARRAY_TASK_ID/1"' in script
    words[-2:] = ['--slu=jobs.sh']
    status, said = battle(*options, '--slurm', 'jobs.sh')
    assert script == (tmp_path / 'jobs.sh').read_text()
    shown = []
    monkeypatch.setattr(
        battle_command, 'write_page', lambda *given: shown.append(given[2])
    )
    status, said = battle(*options, '--only', '2/2')
    assert status == 0 and battle.calls == []
    assert [*shown[0]] == ['mine']  # those of the other shares, too


def test_the_report_is_written_under_the_lock(battle, monkeypatch):
    """What another process has finished before is part of it."""
    busy = []

    def write(results, folder, images):
        with pytest.raises(RunIsBusy), locked(folder):
            pass
        busy.append(folder)

    monkeypatch.setattr(battle_command, 'write_page', write)
    options = ['--entries', SINGLE, '--only', '2/2', '--timed', '0']
    status, said = battle(*options)
    assert status == 0 and len(busy) == 1, said


def test_equal_costs_without_latencies(battle, tmp_path, monkeypatch):
    """A list that lacks the entries of equal latency is not kept."""
    made = []

    def find(text, *_):
        made.append(text)
        return [SINGLE]

    monkeypatch.setattr(battle_costs, 'equal_cost', find)
    (tmp_path / 'list.yaml').write_text('- equal-cost:random:test_resnet')
    options = ['--entries', 'list.yaml', '--dry-run', '--timed']
    for times, number in (('0', 1), ('1', 2), ('1', 2)):
        status, said = battle(*options, times)
        assert status == 0, said
        assert len(made) == number


def test_corruptions(battle, tmp_path, stand_in_corruptions):
    options = ['--entries', SINGLE, '--lrs', '1e-3', '--corruptions']
    battle.broken = 'severity=3'
    status, said = battle(*options, 'snow', 'fog', '--severities', '1', '3')
    assert status == 2 and '1 of the runs failed' in said
    assert [one[-1] for one in called(battle)] == [
        'seed-0', 'test', 'snow-1', 'snow-3',
    ]  # fmt: skip
    assert 'loss is nan' in rows(tmp_path / 'out')[SINGLE]['failed']

    battle.broken = ''
    status, said = battle(*options, 'snow', '--retry-failed')
    assert status == 0, said
    assert [one[-1] for one in called(battle)] == [
        'snow-2', 'snow-3', 'snow-4', 'snow-5',
    ]  # fmt: skip
    assert 'severity=5' in ' '.join(battle.calls[-1])
    assert float(rows(tmp_path / 'out')[SINGLE]['box AP snow']) > 0.999
    folder = next((tmp_path / 'out' / 'runs').rglob('snow-3'))
    assert not [*folder.glob('results.*')] and [*folder.glob('figures.json')]
    status, said = battle(*options, 'snow')
    assert status == 0 and battle.calls == []


def test_small_images(battle, tmp_path, stand_in_corruptions, monkeypatch):
    monkeypatch.setattr(corruptions, 'LEAST_SIDE', 65)
    status, said = battle('--entries', SINGLE, '--corruptions', 'all')
    assert status == 2 and not (tmp_path / 'out').exists()
    assert 'mine/val.json has 96 x 64 pixels, expected 65 or more' in said
    assert battle('--entries', SINGLE, '--dry-run')[0] == 0


def test_data_without_masks(battle, tmp_path):
    file = tmp_path / 'mine' / 'val.json'
    content = json.loads(file.read_text())
    del content['annotations'][0]['segmentation']
    file.write_text(json.dumps(content))
    status, said = battle('--entries', SINGLE)
    assert status == 2 and not (tmp_path / 'out').exists()
    assert 'mine/val.json: the config trains masks' in said
    assert 'with --head, one of faster-rcnn, faster-rcnn-small, ' in said
    assert '--boxes-only' not in said  # an option of cbnet train


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['--entries', 'resnt50'], "did you mean 'resnet50'"),
        (['--entries', SINGLE, SINGLE], 'have one name'),
        (['--entries', 'test_resnet=mine/val.json'], 'mine/val.json'),
        (['--entries', 'test_resnet=gone.pth', '--dry-run'], 'no file gone'),
        (['--entries', SINGLE, '--budget', '1it'], 'give at least 2it'),
        (['--entries', SINGLE, '--budget', '1ab'], "--budget '1ab'; expected"),
        (['--entries', SINGLE, '--reference', 'x'], "'x' is no entry"),
        (['--entries', SINGLE, '--data-root', 'gone'], 'no folder gone'),
        (['--entries', SINGLE, '--out', 'mine'], 'holds no battle'),
        (['--entries', SINGLE, '--only', '3/2'], 'I from 1 to N'),
        (
            ['--entries', SINGLE, '--only', '1/3', '--slurm', 'a.sh'],
            '--slurm: not allowed with argument --only',
        ),
        (['--entries', SINGLE, '--corruptions', 'fgo'], "mean 'fog'"),
        (['--entries', SINGLE, '--corruptions', 'fog'], 'not installed'),
        (['--entries', SINGLE, '--severities', '1'], 'add --corruptions'),
        (['--entries', SINGLE, '--severities', '6'], 'expected 5 or less'),
        (['--entries', SINGLE, '--lrs', '0'], 'expected a number above 0'),
        (
            ['--entries', SINGLE, '--warm-up', '1'],
            'argument --warm-up: 1, expected a number below 1',
        ),
        (
            ['--entries', SINGLE, '--warm-up', '1.5'],
            'argument --warm-up: 1.5, expected a number from 0 to 1',
        ),
        (
            ['--entries', SINGLE, '--budget', '1s', '--timed', '0'],
            'needs the time of a step',
        ),
    ],
)
def test_mistakes(battle, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.setitem(sys.modules, 'imagecorruptions', None)
    status, said = battle(*arguments)
    assert status == 2, said
    assert sentence in said.splitlines()[-1]
    assert battle.calls == [] and not (tmp_path / 'out').exists()
