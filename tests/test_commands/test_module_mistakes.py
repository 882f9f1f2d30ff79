"""``python -m`` modules and tools without a command end in one line, too.

Files and folders that are missing, of a wrong kind, or no names at all.
"""

import runpy
import sys

import pytest

from .conftest import ROOT

CHECK, MAKE = 'cbnet.datasets.coco_check', 'cbnet.datasets.generated'
ZOO, DOCTOR = 'tools/misc/model_zoo.py', 'cbnet.doctor'
MISTAKES = [
    (CHECK, ['gone.json'], 'gone.json: the annotation file is not there'),
    (CHECK, ['FOLDER'], 'FOLDER: the annotation file is a folder'),
    (CHECK, ['x' * 300], 'File name too long'),
    (CHECK, ['VAL', '--images', 'gone'], '--images: no folder gone'),
    (CHECK, ['VAL', '--images', 'a.mp4'], '--images: no folder a.mp4'),
    (CHECK, ['a.mp4', '--images', 'FOLDER'], 'a.mp4: not JSON'),
    (CHECK, [], 'the following arguments are required: file'),
    (MAKE, ['--out', 'a.mp4'], 'a.mp4 exists but is not the requested data'),
    (MAKE, ['--out', 'a.mp4/x'], 'a.mp4'),
    (MAKE, ['--out', 'd', '--num-train', '0'], 'num_train must be 1 or more'),
    (ZOO, ['--root', 'gone'], 'there is no configs/*/metafile.yml in gone'),
    (DOCTOR, ['--jsn'], 'unrecognized arguments: --jsn'),
]


@pytest.mark.parametrize(('module', 'arguments', 'message'), MISTAKES)
@pytest.mark.filterwarnings('ignore:.*found in sys.modules:RuntimeWarning')
def test_one_line(
    module, arguments, message, tiny_coco, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'FOLDER').mkdir()
    (tmp_path / 'a.mp4').touch()
    val = str(tiny_coco.root / 'val.json')
    arguments = [val if one == 'VAL' else one for one in arguments]
    monkeypatch.setattr(sys, 'argv', ['tool', *arguments])
    monkeypatch.syspath_prepend(ROOT / 'tools' / 'misc')
    with pytest.raises(SystemExit) as end:
        if module.endswith('.py'):
            runpy.run_path(str(ROOT / module), run_name='__main__')
        else:
            runpy.run_module(module, run_name='__main__')
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith('usage: ') and said.count('error: ') == 1
    assert message in said[said.index('error: ') :].rstrip('\n')
