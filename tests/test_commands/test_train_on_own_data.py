"""``tools/train.py --data-root``: one command from a folder to figures.

- a config of other data trains, logs, accumulates and is evaluated; what it
  dumps evaluates again by itself;
- training without validation is asked for in two ways; without masks for
  every object, boxes alone are trained on request;
- every annotation file is read once, the copy for evaluation too;
- mistakes in options and files end in one line, before anything is built.
"""

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cbnet.commands import train

ROOT = Path(__file__).parents[2]


@pytest.fixture
def own_data(tiny_coco, tmp_path):
    """The tiny data set under other ids, val in another order."""
    root = tmp_path / 'mine'
    root.mkdir()
    for split, names in (('train', {1: 40, 2: 7}), ('val', {2: 3, 1: 8})):
        content = json.loads((tiny_coco.root / f'{split}.json').read_text())
        for entry in content['annotations']:
            entry['category_id'] = names[entry['category_id']]
        by_id = {entry['id']: entry for entry in content['categories']}
        content['categories'] = [
            dict(by_id[old], id=new) for old, new in names.items()
        ]
        (root / f'{split}.json').write_text(json.dumps(content))
        (root / split).symlink_to(tiny_coco.root / split)
    return root


def test_from_a_folder_to_figures(run_tool, tiny_config, own_data, iterations):
    text = tiny_config.read_text()
    foreign = "dict(classes=('cow', 'horse', 'sheep'))"
    text = text.replace("dict(classes=('square', 'triangle'))", foreign)
    tiny_config.write_text(
        text.replace("'num_classes': 2", "'num_classes': 3")
        + "model['roi_head']['bbox_head']['num_classes'] = 3\n"
        + 'auto_scale_lr = dict(base_batch_size=16)\n'
    )
    options = ['--accumulate', 2, '--log-to', 'tensorboard']
    done = run_tool('train.py', tiny_config, '--data-root', own_data, *options)
    assert done.returncode == 0, done.stdout
    assert 'classes: 2 (square, triangle), set at 2 places' in done.stdout
    assert 'learning rate: 0.001 x 4/16 = 0.00025' in done.stdout
    assert iterations(done.stdout) == [1, 2]
    assert 'coco/bbox_mAP' in done.stdout
    work_dir = run_tool.folder / 'work_dirs' / 'tiny'
    assert list(work_dir.rglob('events.out.tfevents*'))
    assert list(work_dir.rglob('scalars.json'))
    done = run_tool('test.py', work_dir / 'tiny.py', work_dir / 'iter_2.pth')
    assert done.returncode == 0, done.stdout
    assert 'coco/bbox_mAP' in done.stdout


@pytest.fixture
def refuse(tiny_config, monkeypatch, capsys):
    """Call tools/train.py in this process; give its one line."""

    def run(*arguments):
        command = ['train.py', tiny_config, *arguments]
        monkeypatch.setattr(sys, 'argv', list(map(str, command)))
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(str(ROOT / 'tools/train.py'), run_name='__main__')
        assert caught.value.code == 2
        printed = capsys.readouterr().err
        assert 'Traceback' not in printed
        return printed.splitlines()[-1]

    return run


def test_options_that_need_a_folder(refuse):
    for option in (['--train-ann', 'a.json'], ['--no-val'], ['--boxes-only']):
        assert f'{option[0]} needs --data-root' in refuse(*option)
    assert '--accumulate: 0, expected' in refuse('--accumulate', 0)


def test_no_validation_file(refuse, own_data):
    (own_data / 'val.json').unlink()
    line = refuse('--data-root', own_data)
    assert 'give --val-ann FILE or --no-val' in line


@pytest.fixture
def prepare(tiny_config, monkeypatch):
    """Call tools/train.py in this process; give the config it would run."""

    def run(*arguments):
        built = []

        def build(cfg):
            built.append(cfg)
            return SimpleNamespace(train=lambda: None)

        monkeypatch.setattr(train, 'build_runner', build)
        command = ['train.py', tiny_config, *arguments]
        monkeypatch.setattr(sys, 'argv', list(map(str, command)))
        runpy.run_path(str(ROOT / 'tools/train.py'), run_name='__main__')
        (cfg,) = built
        return cfg

    return run


@pytest.mark.parametrize('choice', [['--no-val'], ['--val-ann', 'none']])
def test_training_without_validation(choice, prepare, own_data, capsys):
    (own_data / 'val.json').unlink()
    cfg = prepare('--data-root', own_data, *choice)
    assert cfg.val_dataloader is cfg.val_evaluator is cfg.val_cfg is None
    assert 'no validation, as requested' in capsys.readouterr().out


def test_boxes_only(run_command, tiny_config, own_data):
    """A file without the mask of one object, trained on and evaluated."""
    for split in ('train', 'val'):
        path = own_data / f'{split}.json'
        content = json.loads(path.read_text())
        del content['annotations'][0]['segmentation']
        path.write_text(json.dumps(content))
    command = 'train', tiny_config, '--data-root', own_data
    status, output = run_command(*command)
    assert status == 2
    assert 'train.json: the config trains masks, but 1 of 5 obj' in output
    status, output = run_command(*command, '--boxes-only')
    assert status == 0, output
    assert 'boxes only: mask heads and masks are left out' in output
    assert 'coco/bbox_mAP' in output and 'segm_mAP' not in output
    assert 'loss_bbox' in output and 'loss_mask' not in output


@pytest.mark.parametrize('reordered', [True, False])
def test_each_file_is_read_once(prepare, own_data, readings, reordered):
    """A training file of COCO's size has 450 MB."""
    train_file, val_file = own_data / 'train.json', own_data / 'val.json'
    content = json.loads(val_file.read_text())
    content['info'] = 'so that it differs from the training file'
    if not reordered:
        content['categories'].reverse()
    val_file.write_text(json.dumps(content))
    cfg = prepare('--data-root', own_data)
    evaluated = Path(cfg.val_evaluator.ann_file)
    assert (evaluated != val_file) == reordered
    for file in {train_file, val_file, evaluated}:
        assert readings(file) == 1, file


def test_a_box_outside_its_image(refuse, own_data):
    content = json.loads((own_data / 'train.json').read_text())
    content['annotations'][1]['bbox'][0] = 500
    (own_data / 'train.json').write_text(json.dumps(content))
    line = refuse('--data-root', own_data)
    assert f'{own_data / "train.json"}: annotations[1] (id 2): bbox' in line


def test_the_data_of_a_config_are_checked_too(refuse, tiny_coco, tmp_path):
    file = tmp_path / 'broken.json'
    file.write_text((tiny_coco.root / 'train.json').read_text()[:-9])
    option = f'train_dataloader.dataset.ann_file={file}'
    assert f'{file}: not JSON' in refuse('--cfg-options', option)
    option = 'val_dataloader.dataset.ann_file=gone.json'
    assert 'gone.json: the annotation file is not there' in refuse(
        '--cfg-options', option
    )
    option = 'train_dataloader.dataset.metainfo.classes=square,circle'
    assert "declares no category 'circle'" in refuse('--cfg-options', option)
