"""The tools that look at results, logs and data, by their command lines.

- eval_coco: prints COCO's table and mmdet's names, classes on request, and
  writes the same figures, whatever the backend;
- plot_log: draws and names resumed runs, labels and keys of one's own;
- browse_data: a sheet or a folder of figures, and what was filtered out;
- every mistake ends in one line that names option, file or key.
"""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TOOLS = Path(__file__).parents[2] / 'tools' / 'analysis_tools'


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Call a tool in this process; give what it prints."""
    monkeypatch.chdir(tmp_path)

    def run(tool, *arguments):
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        runpy.run_path(str(TOOLS / tool), run_name='__main__')
        return capsys.readouterr().out

    return run


@pytest.fixture
def results(tiny_coco, tmp_path):
    """Perfect results for one of the two classes, none for the other."""
    content = json.loads((tiny_coco.root / 'train.json').read_text())
    entries = [
        {
            **{key: annotation[key] for key in ('image_id', 'category_id')},
            'bbox': annotation['bbox'],
            'segmentation': annotation['segmentation'],
            'score': 0.5,
        }
        for annotation in content['annotations']
        if annotation['category_id'] == 1
    ]
    path = tmp_path / 'results.json'
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture
def logs(tmp_path):
    """A work dir of two processes, the second resumed at 20."""
    for time, steps, text in (
        ('20260101_000000', (10, 20, 30), ''),
        ('20260101_000001', (30, 40), 'INFO - resumed epoch: 0, iter: 20'),
    ):
        folder = tmp_path / 'dual' / time
        (folder / 'vis_data').mkdir(parents=True)
        (folder / f'{time}.log').write_text(text)
        lines = [
            {'loss': 9 / n, 'assist0.loss_cls': 1.0, 'iter': n, 'step': n}
            for n in steps
        ]
        lines.append({'coco/bbox_mAP': 0.3, 'step': 0})
        scalars = folder / 'vis_data' / 'scalars.json'
        scalars.write_text('\n'.join(map(json.dumps, lines)))
    return tmp_path / 'dual'


@pytest.mark.parametrize('backend', ['pycocotools', 'faster'])
@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_eval_coco(call, tiny_coco, results, tmp_path, backend, iou_type):
    ann = tiny_coco.root / 'train.json'
    out = tmp_path / 'new' / 'figures.json'
    printed = call(
        'eval_coco.py', ann, results, '--iou-type', iou_type,
        '--backend', backend, '--classwise', '--out', out,
    )  # fmt: skip
    assert f'2 detections ({iou_type}) on 4 images, by {backend}' in printed
    assert '(AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.5' in (
        printed
    )
    assert f'  {iou_type}_AR@1000 0.500\n' in printed
    # of the second class' three objects one is a crowd
    assert '| square   |       2 | 1.000 |' in printed
    assert '| triangle |       2 | 0.000 |' in printed
    assert printed.splitlines()[-1] == f'figures: {out}'
    figures = json.loads(out.read_text())
    assert figures['stats'][0] == pytest.approx(0.5, abs=1e-9)
    assert len(figures['stats']) == 12 and len(figures['mmdet']) == 12
    assert figures['iou_type'] == iou_type and figures['backend'] == backend


def test_eval_coco_of_nothing_found(call, tiny_coco, tmp_path):
    path = tmp_path / 'none.json'
    path.write_text('[]')
    printed = call('eval_coco.py', tiny_coco.root / 'train.json', path)
    assert f'{path} lists no detections' in printed
    assert 'bbox_mAP 0.000' in printed and 'class' not in printed


def test_plot_log(call, logs):
    printed = call('plot_log.py', logs)
    assert printed.splitlines() == [
        'dual: up to iteration 40, 4 steps logged, evaluations: 1, '
        'resumed at 20',
        '3 panels: curves.png',
    ]
    assert Image.open('curves.png').size[0] > 1000
    first = logs / '20260101_000000'
    printed = call(
        'plot_log.py', logs, first, '--keys', 'bbox_mAP', 'loss',
        '--labels', 'whole', 'first', '--smooth', '2', '--out', 'new/c.svg',
    )  # fmt: skip
    assert 'first: up to iteration 30, 3 steps logged' in printed
    assert printed.endswith('2 panels: new/c.svg\n')
    assert '<svg' in Path('new/c.svg').read_text()


def test_browse_data(call, tiny_config):
    config = tiny_config.read_text().replace(
        "ann_file='train.json',",
        "ann_file='train.json', filter_cfg=dict(filter_empty_gt=True),",
    )
    tiny_config.write_text(config)
    printed = call('browse_data.py', tiny_config, '--num', '6')
    lines = printed.splitlines()
    assert lines[0] == (
        'train.json: 3 of 4 images and 4 objects are used (square 2, '
        'triangle 2)'
    )
    assert lines[1].startswith('left out: 1 image without objects of the')
    assert lines[2].startswith('fed as RGB, mean')
    assert lines[-1] == '6 images: fed_images.png'
    first = np.asarray(Image.open('fed_images.png'))
    assert first.shape[1] > 4 * 400
    call('browse_data.py', tiny_config, '--num', '6', '--seed', '1')
    assert not np.array_equal(first, np.asarray(Image.open('fed_images.png')))
    printed = call(
        'browse_data.py', tiny_config, '--split', 'val', '--out', 'pictures'
    )
    assert '2 images (there are no more): pictures' in printed
    names = sorted(path.name for path in Path('pictures').iterdir())
    assert names == ['001_001.png', '002_002.png']


def test_browse_data_says_what_the_pipeline_refused(call, tiny_config):
    config = tiny_config.read_text().replace(
        "dict(type='RandomFlip', prob=0.5),",
        "dict(type='FilterAnnotations', min_gt_bbox_wh=(35, 35)),",
    )
    tiny_config.write_text(config)
    printed = call('browse_data.py', tiny_config, '--num', '8')
    assert 'refused by the pipeline, replaced by another: ' in printed


MISTAKES = [
    ('eval_coco.py', ['gone.json', 'RESULTS'], 'gone.json: the annotation f'),
    ('eval_coco.py', ['ANN', 'gone.json'], 'gone.json: the results file is'),
    ('eval_coco.py', ['ANN', 'ANN'], 'train.json: contains a dict, expec'),
    ('eval_coco.py', ['ANN', 'RESULTS', '--out', 'a.txt'], '--out: a.txt mus'),
    ('eval_coco.py', ['ANN', 'RESULTS', '--backend', 'x'], 'invalid choice'),
    ('plot_log.py', ['gone'], 'gone: no such file or folder'),
    ('plot_log.py', ['.'], 'no log there; expected <time>/vis_data/scalars'),
    ('plot_log.py', ['LOGS', '--keys', 'x'], "no run logged 'x'; there are l"),
    ('plot_log.py', ['LOGS', '--out', 'a.gif'], '--out: a.gif must end in'),
    ('plot_log.py', ['LOGS', '--smooth', '0'], '--smooth: 0, expected 1 or'),
    ('plot_log.py', ['LOGS', '--labels', 'a', 'b'], '2 names for 1 runs'),
    ('browse_data.py', ['gone.py'], 'no config file gone.py'),
    ('browse_data.py', ['CONFIG', '--num', '0'], '--num: 0, expected 1'),
    ('browse_data.py', ['CONFIG', '--seed', '-1'], '--seed: -1, expected 0'),
    ('browse_data.py', ['CONFIG', '--out', 'a.jpg'], '--out: a.jpg must end'),
    (
        'browse_data.py',
        ['CONFIG', '--cfg-options', 'train_dataloader=None'],
        'the config has no train_dataloader',
    ),
    (
        'browse_data.py',
        ['CONFIG', '--cfg-options', 'train_dataloader.dataset.ann_file=a.js'],
        'a.js',
    ),
    (
        'browse_data.py',
        ['CONFIG', '--cfg-options']
        + ['train_dataloader.dataset.data_prefix.img=gone'],
        '.png is missing; expected a whole image file',
    ),
]


@pytest.mark.parametrize(('tool', 'arguments', 'message'), MISTAKES)
def test_a_mistake_ends_in_one_line(
    tool, arguments, message, call, request, capsys
):
    given = dict(
        ANN=lambda: request.getfixturevalue('tiny_coco').root / 'train.json',
        RESULTS=lambda: request.getfixturevalue('results'),
        LOGS=lambda: request.getfixturevalue('logs'),
        CONFIG=lambda: request.getfixturevalue('tiny_config'),
    )
    arguments = [given.get(a, lambda a=a: a)() for a in arguments]
    with pytest.raises(SystemExit) as stop:
        call(tool, *arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f'{tool}: error: ') and message in error
