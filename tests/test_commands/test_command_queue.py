"""Commands that run one after the other, with a stand-in for ``cbnet``.

- each logged step is shown with its loss and the time left; the output goes
  to the log;
- the steps of all commands count for it, less those that were done before;
- a command that fails ends everything, with the last of its output and the
  reason; lack of memory and signals are told apart;
- a command that is stopped is no failure, and none starts after ``stop``;
- a command that ends with an error after ``stop`` was interrupted;
- what a killed command leaves behind is ended, so that nothing waits for it;
- a log that cannot be written ends the command, too; bytes in its output that
  are no text do not;
- a training that is asked for twice counts once;
- SIGTERM, SIGHUP and Ctrl-C to the process of the queue alone end its
  commands, too, also where several run at a time.
"""

import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer

import pytest

from cbnet.commands.command_queue import (
    CommandFailed,
    CommandQueue,
    Interrupted,
)
from cbnet.commands.runs import Runs

COMMAND = """\
import os
import sys
import time
name, first, last = sys.argv[1:]
for step in range(int(first), int(last) + 1):
    print(f'Iter({name}) [ {step}/{last}] lr: 1  loss: 0.5  loss_x: 2')
if name == 'wait':
    with open('pids', 'a') as file:
        print(os.getpid(), file=file)
    time.sleep(600)
if name == 'bytes':
    os.write(1, b'caf\\xe9.jpg')
if name == 'leave':
    if os.fork() == 0:
        with open('pids', 'a') as file:
            print(os.getpid(), file=file)
        time.sleep(600)
    while not os.path.exists('pids'):
        time.sleep(0.01)
    os.kill(os.getpid(), 9)
if name == 'late':
    while not os.path.exists('go'):
        time.sleep(0.01)
    sys.exit(1)
if name.startswith('kill'):
    os.kill(os.getpid(), int(name[4:]))
if name == 'memory':
    print('torch.OutOfMemoryError: CUDA out of memory. Tried to allocate')
    name = 'broken'
print('the end', os.environ.get('WORD', ''))
sys.exit(name == 'broken')
"""


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Replace the package by the stand-in; give the path of a log file."""
    (tmp_path / 'cbnet.py').write_text(COMMAND)
    monkeypatch.chdir(tmp_path)
    return tmp_path / 'runs' / 'x.log'


def test_steps_and_what_is_left(log, capsys):
    queue = CommandQueue(units=1000)
    with queue:
        queue.run(['train', '1', '3'], log, cost=1.0)
        queue.run(['test', '1', '2'], log, cost=100.0)
    said = capsys.readouterr().out
    steps = r'^  step +(\d) of (\d)  loss 0.500  time left in all '
    found = [(int(n), int(last)) for n, last in re.findall(steps, said, re.M)]
    assert found == [(1, 3), (2, 3), (3, 3), (1, 2), (2, 2)]
    (task,) = queue.bar.tasks
    assert task.remaining == 1000 - 3 * 1 - 2 * 100
    assert log.read_text().count('the end') == 2


def test_what_was_done_before(log, capsys):
    queue = CommandQueue(units=1000)
    with queue:
        queue.skip(996)
        queue.run(['train', '3', '6'], log, cost=1.0, done=2)
    said = capsys.readouterr().out
    assert 'step   3 of 6' in said and 'step   2' not in said
    (task,) = queue.bar.tasks
    assert task.remaining == 0


def test_a_command_that_fails(log):
    with pytest.raises(SystemExit) as end:
        CommandQueue(units=1).run(['broken', '1', '1'], log, cost=1.0)
    assert f'the end \n\nbroken failed, see {log}' in end.value.code
    assert end.value.reason == 'the end'


@pytest.mark.parametrize(
    ('name', 'reason'),
    [('memory', 'CUDA out of memory'), ('kill9', 'SIGKILL, usually for lack')],
)
def test_reasons(log, name, reason):
    with pytest.raises(CommandFailed) as end:
        CommandQueue(units=1).run([name, '1', '1'], log, cost=1.0)
    assert reason in end.value.reason


def test_stopped(log):
    queue = CommandQueue(units=1)
    with pytest.raises(Interrupted):
        queue.run(['kill15', '1', '1'], log, cost=1.0)
    queue.run(['x', '1', '1'], log, cost=1.0, environment=dict(WORD='set'))
    assert 'the end set' in log.read_text()
    queue.stop()
    with pytest.raises(Interrupted):
        queue.run(['x', '1', '1'], log, cost=1.0)


def test_a_command_that_fails_because_it_is_stopped(log, tmp_path):
    queue = CommandQueue(units=1)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(queue.run, ['late', '1', '1'], log, cost=1.0)
        while not log.exists():
            time.sleep(0.01)
        Timer(0.2, (tmp_path / 'go').touch).start()
        queue.stop()
        with pytest.raises(Interrupted):
            late.result()


def test_what_a_killed_command_leaves_behind_ends(log, tmp_path):
    """It would hold the output, and keep the queue waiting."""
    with pytest.raises(CommandFailed, match='leave failed'):
        CommandQueue(units=1).run(['leave', '1', '1'], log, cost=1.0)
    (pid,) = _lines(tmp_path / 'pids')
    end = time.monotonic() + 30
    while _is_alive(pid):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='needs Linux')
def test_a_full_disk(log, monkeypatch):
    started, start = [], subprocess.Popen

    def note(*args, **options):
        started.append(start(*args, **options))
        return started[0]

    monkeypatch.setattr(subprocess, 'Popen', note)
    with pytest.raises(OSError, match='No space left'):
        CommandQueue(1).run(['wait', '1', '1'], Path('/dev/full'), cost=1.0)
    assert started[0].poll() is not None


def test_bytes_that_are_no_text(log):
    CommandQueue(units=1).run(['bytes', '1', '1'], log, cost=1.0)
    assert '.jpg' in log.read_text() and 'the end' in log.read_text()


def test_the_steps_of_a_training_count_once(tmp_path, monkeypatch):
    def train(self, *_):
        (tmp_path / 'last_checkpoint').write_text('/x/iter_5.pth')

    monkeypatch.setattr(CommandQueue, 'run', train)
    queue = CommandQueue(units=100)
    (task,) = queue.bar.tasks
    runs = Runs(queue)
    for same in (runs, runs, runs.within({'CUDA_VISIBLE_DEVICES': '1'})):
        assert same.train('c.py', tmp_path, 5, cost=2.0).endswith('iter_5.pth')
        assert task.total == 100
    Runs(queue).train('c.py', tmp_path, 5, cost=2.0)
    assert task.total == 90


DRIVER = """\
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from cbnet.commands.battle_runs import Battle, RunOptions
from cbnet.commands.command_queue import CommandQueue
# What runs in the background of a shell may have to ignore them.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
jobs = int(sys.argv[1])
plan = SimpleNamespace(contests=range(3), runs=1, tried=0)
class Waiting(Battle):
    _units = lambda *_: 1
    def _contest(self, number):
        log = Path(f'{number}.log')
        yield [lambda: self.queue.run(['wait', '1', '1'], log, 1.0)]
CommandQueue.patience = 0.1
battle = Waiting.__new__(Waiting)
battle.plan, battle.options = plan, RunOptions(jobs=jobs)
battle.queue = CommandQueue(1)
with battle.queue:
    battle.run()
"""


@pytest.mark.parametrize(
    'number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
)
@pytest.mark.parametrize('jobs', [1, 2])
def test_a_signal_to_the_queue_alone_ends_its_commands(
    log, tmp_path, jobs, number
):
    driver = tmp_path / 'elsewhere' / 'driver.py'  # not beside the stand-in
    driver.parent.mkdir()
    driver.write_text(DRIVER)
    process = subprocess.Popen(
        [sys.executable, driver, str(jobs)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    pids, end = tmp_path / 'pids', time.monotonic() + 120
    while len(started := _lines(pids)) < jobs and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert 'interrupted; the same command continues from here' in said
    assert 'Traceback' not in said
    assert _lines(pids) == started and len(started) == jobs
    assert not any(map(_is_alive, started))


def test_what_nohup_ignores_stays_ignored(log):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with CommandQueue(units=1):
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def _is_alive(pid):
    """Tell whether a process runs; a dead one may wait for its parent."""
    try:
        return ') Z ' not in Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        return False


def _lines(file):
    return file.read_text().splitlines() if file.exists() else []
