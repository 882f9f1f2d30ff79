"""``cbnet test --show-dir``: a figure for every image, whatever the data.

Images of equal names in several folders keep their own figures; the truth is
drawn where it is in the file, also if the pipeline resizes it; a class may
have any name.
"""

import json
import shutil

import cv2
import numpy as np
import pytest

NAMES = ('$a$', '红')


@pytest.fixture
def data(tiny_coco, tmp_path):
    """Copy the data set: two images of one name, in two folders."""
    root = tmp_path / 'data'
    shutil.copytree(tiny_coco.root, root)
    content = json.loads((root / 'val.json').read_text())
    for image, name in zip(content['images'], 'ab', strict=True):
        (root / 'val' / name).mkdir()
        old, new = image['file_name'], f'{name}/0.png'
        (root / 'val' / old).rename(root / 'val' / new)
        image['file_name'] = new
    for category, name in zip(content['categories'], NAMES, strict=True):
        category['name'] = name
    (root / 'val.json').write_text(json.dumps(content))
    return root


def test_every_image_has_its_figure(data, tiny_config, weights, run_command):
    text = tiny_config.read_text()
    small = text.replace('scale=(96, 64)', 'scale=(48, 32)')
    figures = []
    for name, content in (('plain', text), ('small', small)):
        tiny_config.write_text(content)
        status, output = run_command(
            'test', tiny_config, weights, '--show-dir', name,
            '--work-dir', f'work_{name}', '--cfg-options',
            f'test_dataloader.dataset.data_root={data}',
            f'test_dataloader.dataset.metainfo.classes={list(NAMES)}'.replace(
                ' ', ''
            ),
            f'test_evaluator.ann_file={data}/val.json',
        )  # fmt: skip
        assert status == 0, output
        assert 'cannot be drawn' not in output
        found = sorted(data.parent.glob(f'{name}/**/*.png'))
        shown = [f.relative_to(data.parent / name).as_posix() for f in found]
        assert shown == ['a/0.png', 'b/0.png']
        figures.append([cv2.imread(str(file)).astype(int) for file in found])
    for plain, resized in zip(*figures, strict=True):
        assert plain.shape == resized.shape == (64, 2 * 96, 3)
        # The left half shows the truth.
        difference = np.abs(plain - resized)[:, :96].max(axis=2)
        assert (difference > 60).mean() < 0.1
    assert (figures[0][0] != figures[0][1]).any()


def test_what_cannot_be_drawn_is_named(
    tiny_config, weights, tiny_coco, run_command, monkeypatch
):
    def fail(*args, **options):
        raise RuntimeError('no ink')

    monkeypatch.setattr(
        'mmdet.visualization.DetLocalVisualizer._draw_instances', fail
    )
    status, output = run_command(
        'test', tiny_config, weights, '--show-dir', 'shown'
    )
    assert status == 0
    path = tiny_coco.root / 'val' / '002.png'
    assert f'{path}: its figure cannot be drawn: no ink' in output
    assert 'coco/bbox_mAP' in output
