"""Commands and scripts import nothing slow before they have read arguments.

- no help imports torch, whether of ``cbnet``, of a command or of a script;
- importing cbnet brings neither torch's compiler nor timm; the threads that
  were settled before are those of torch;
- the names that a help offers are those of the modules that it spares.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cbnet.analysis.complexity.measure import SMALLEST
from cbnet.battle.configs import PROTOCOLS
from cbnet.battle.heads import HEADS
from cbnet.checkpoints.averaging import KINDS
from cbnet.commands import choices, study_plan
from cbnet.datasets.corruption import CORRUPTIONS
from cbnet.engine.launch import LAUNCHERS
from cbnet.engine.loggers import LOGGERS
from cbnet.evaluation.coco_backends import BACKENDS
from cbnet.evaluation.coco_input import IOU_TYPES
from cbnet.models.backbones import STYLES
from cbnet.studies.results import BUDGETS
from cbnet.twins import TwinOptions
from cbnet.twins.presets import DEFAULT, PRESETS

ROOT = Path(__file__).parents[2]
SLOW = ['torch', 'mmengine', 'mmdet', 'numpy', 'rich', 'timm', 'cv2']
HELPS = f"""
import contextlib, io, json, runpy, sys
from pathlib import Path

def loaded(call, *arguments):
    sys.argv[1:] = arguments
    with contextlib.redirect_stdout(io.StringIO()) as text:
        try:
            call()
        except SystemExit as end:
            assert not end.code
    assert text.getvalue().startswith('usage: ')
    return [name for name in {SLOW} if name in sys.modules]

from cbnet_command import main
found = {{'cbnet': loaded(main, '--help')}}
from cbnet.commands.main import COMMANDS
for name in COMMANDS:
    found[name] = loaded(main, name, '--help')
for path in Path('tools').rglob('*.py'):
    if '__main__' in path.read_text():
        sys.path.insert(0, str(path.parent))
        found[str(path)] = loaded(
            lambda: runpy.run_path(str(path), run_name='__main__'), '--help'
        )
sys.argv = ['-m']
sys.orig_argv = ['python', '-m', 'cbnet']
for name in [name for name in sys.modules if name.startswith('cbnet')]:
    del sys.modules[name]
import cbnet
found['python -m'] = [name for name in {SLOW} if name in sys.modules]
print(json.dumps(found))
"""
IMPORTS = """
import json, os, sys
os.environ['CBNET_START'] = 'no'
from cbnet.threads import settle_threads
settled = settle_threads()
import cbnet
cbnet.start()
import torch
from mmdet.registry import MODELS
print(json.dumps(dict(
    modules=list(sys.modules),
    threads=[settled.number, torch.get_num_threads()],
    said=str(settled),
    policy=os.environ['OMP_WAIT_POLICY'],
    registered='CompositeBackbone' in MODELS,
)))
"""


def in_a_process(code, **environment):
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(('OMP_', 'MKL_', 'KMP_', 'GOMP_', 'CBNET_'))
    }
    done = subprocess.run(
        [sys.executable, '-c', code],
        cwd=ROOT,
        env={**kept, 'PYTHONPATH': str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_helps_import_nothing_slow():
    found = in_a_process(HELPS)
    assert len(found) > 40
    assert {name: slow for name, slow in found.items() if slow} == {}


def test_importing_cbnet():
    found = in_a_process(IMPORTS, MKL_DYNAMIC='FALSE')
    slow = {'torch._dynamo', 'torchvision', 'timm', 'pydantic', 'sklearn'}
    assert not slow & set(found['modules'])
    assert found['registered']
    settled, threads = found['threads']
    assert settled == threads
    assert str(threads) in found['said'] and found['policy'] == 'PASSIVE'


@pytest.mark.parametrize(
    ('offered', 'there'),
    [
        (choices.STYLES, STYLES),
        (choices.PRESETS, PRESETS),
        (choices.LAUNCHERS, LAUNCHERS),
        (choices.LOGGERS, LOGGERS),
        (choices.KINDS, KINDS),
        (choices.IOU_TYPES, IOU_TYPES),
        (choices.BACKENDS, BACKENDS),
        (choices.BUDGETS, BUDGETS),
        (choices.UPGRADES, study_plan.UPGRADES),
        (choices.PROTOCOLS, PROTOCOLS),
        (choices.HEADS, HEADS),
        (choices.CORRUPTIONS, CORRUPTIONS),
    ],
)
def test_offered_names(offered, there):
    assert list(offered) == list(there)


def test_offered_defaults():
    twin = TwinOptions()
    assert (choices.MEMBERS, choices.STYLE) == (twin.members, twin.style)
    assert choices.SHARED_STAGES == twin.shared_stages
    assert choices.DEFAULT == DEFAULT
    assert choices.BIGGER == study_plan.BIGGER
    assert choices.SMALLEST == SMALLEST
