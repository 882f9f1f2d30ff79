"""tools/misc/compose.py: the twin of a config trains; mistakes are one line.

- The twin of a tiny plain detector is written and trains two iterations.
- Every option of the command line reaches the twin.
- Mistakes end in one line with exit status 2.
"""

import runpy
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from cbnet.testing import TINY_MEMBERS, tiny_detector

ROOT = Path(__file__).parents[2]
PLAIN = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call the tool in this process, in an empty folder."""
    folder = tmp_path / 'here'
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['compose.py', *map(str, arguments)])
        tool = ROOT / 'tools' / 'misc' / 'compose.py'
        runpy.run_path(str(tool), run_name='__main__')

    return run


def test_the_twin_trains(call, tiny_config, run_tool, iterations, capsys):
    plain = tiny_detector('MaskRCNN', TINY_MEMBERS['resnet'], num_classes=2)
    config = tiny_config.with_name('plain.py')
    config.write_text(
        f"_base_ = './tiny.py'\nmodel = dict(_delete_=True, **{plain})\n"
    )
    call(config, '--out', run_tool.folder / 'twin.py', '--assistance', '0.25')
    printed = capsys.readouterr().out.splitlines()
    assert printed[-3:] == [
        'built: AssistedMaskRCNN, 2 x ResNet, style dhlc, shared stages 1, '
        'assistance 0.25, proposals lead',
        f'wrote {run_tool.folder / "twin.py"}',
        f'train: cbnet train {run_tool.folder / "twin.py"}',
    ]
    trained = run_tool('train.py', 'twin.py')
    assert trained.returncode == 0, trained.stdout
    assert iterations(trained.stdout) == [1, 2]
    assert 'assist0.loss_cls: ' in trained.stdout
    assert 'coco/segm_mAP:' in trained.stdout


def test_options_reach_the_twin(call, capsys):
    call(
        PLAIN, '--members', '3', '--style', 'fcc', '--assistance', '0', '1',
        '--shared-stages', 'none', '--proposals', 'own',
    )  # fmt: skip
    model = Config.fromfile('triple_retinanet_r50_fpn_1x_coco.py').model
    assert model.assistance == dict(weights=[0.0, 1.0], proposals='own')
    backbone = model.backbone
    assert (backbone.num_members, backbone.style) == (3, 'fcc')
    assert backbone.shared_stages is None
    assert 'wrote triple_retinanet' in capsys.readouterr().out
    call(PLAIN, '--assistance', '0.5', '--shared-stages', '2')
    model = Config.fromfile('dual_retinanet_r50_fpn_1x_coco.py').model
    assert model.assistance == dict(weights=[0.5], proposals='own')
    assert model.backbone.shared_stages == 2


def test_the_detector_inside(call, capsys):
    config = (
        'mmdet::soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_'
        'semi-0.1-coco.py'
    )
    call(config, '--at', 'model.detector', '--out', 'twin.py')
    printed = capsys.readouterr().out
    assert 'built: SoftTeacher with AssistedFasterRCNN, 2 x Res' in printed
    detector = Config.fromfile('twin.py').model.detector
    assert detector.backbone.type == 'CompositeBackbone'


def test_remarks_are_printed(call, tmp_path, capsys):
    config = tmp_path / 'plain.py'
    config.write_text(f"_base_ = {PLAIN!r}\nwork_dir = 'work_dirs/plain'\n")
    call(config)
    assert capsys.readouterr().out.startswith("note: work_dir='work_dirs/pl")


MISTAKES = [
    (['gone.py'], 'no config file gone.py'),
    ([PLAIN, '--style', 'dhcl'], "id you mean 'dhlc'"),
    ([PLAIN, '--shared-stages', '9'], 'shared_stages=9'),
    ([PLAIN, '--shared-stages', 'x'], "stages: 'x' is neither a number nor"),
    ([PLAIN, '--members', 'x'], "--members: invalid int value: 'x'"),
    ([PLAIN, '--members', '0'], 'num_members=0'),
    ([PLAIN, '--assistance', '0.5', '1'], 'for each of the 1 assistants'),
    ([PLAIN, '--assistance', 'x'], "--assistance: invalid float value: 'x'"),
    ([PLAIN, '--proposals', 'x'], "--proposals: invalid choice: 'x'"),
    ([PLAIN, '--proposals', 'lead'], "use 'own'"),
    ([PLAIN, '--at', 'model.detector'], 'has no model.detector.backbone'),
    (['mmdet::ssd/ssd300_coco.py'], 'SSDVGG cannot be a member'),
    ([PLAIN, '--out', 'a/twin.txt'], 'must end in .py'),
    ([PLAIN, '--out', 'file/twin.py'], 'file'),
]


@pytest.mark.parametrize(('arguments', 'message'), MISTAKES)
def test_a_mistake_ends_in_one_line(arguments, message, call, capsys):
    Path('file').touch()
    with pytest.raises(SystemExit) as stop:
        call(*arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith('compose.py: error: ') and message in error
    assert not list(Path().rglob('*.py'))
