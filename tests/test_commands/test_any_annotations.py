"""Any annotation file is refused in a sentence, or can be trained on.

For whatever Hypothesis writes: the files are accepted by the same code as
for ``cbnet train``, with ``--data-root`` or named by the config itself, or
refused with a sentence. If they are accepted, every training image passes the
pipeline, and the objects of the validation set, fed back as detections, have
a box and mask AP of 1.0.
"""

import copy
import gc
import json
from argparse import Namespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from mmengine.registry import DefaultScope
from PIL import Image

from cbnet.commands.command_line import load_config
from cbnet.commands.parsers.check_data import make_parser
from cbnet.commands.train import use_own_data
from cbnet.datasets.annotations import read_once
from cbnet.datasets.data_check import check_data
from cbnet.datasets.loader_check import check_loaders
from cbnet.errors import UserError, UserValueError
from cbnet.evaluation.data_report import DataReport, inspect_data
from tests.test_datasets.annotation_files import (
    IMAGES,
    NAMES,
    annotation_files,
)


def make_judge(folder):
    """Make a function that judges a training and a validation file.

    It raises a ``UserError`` if ``cbnet train`` would refuse them, by
    themselves or as the data that the config names; otherwise it gives the
    report of ``cbnet check-data``.
    """
    for name, (width, height) in IMAGES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        pixels = np.arange(width * height * 3) % 251
        image = pixels.reshape(height, width, 3).astype(np.uint8)
        Image.fromarray(image).save(folder / name)
    args = make_parser().parse_args(
        ['--data-root', str(folder), '--work-dir', str(folder / 'work')]
    )
    args = Namespace(**vars(args), auto_scale_lr=True)
    original = load_config(args)
    for loader in (original.train_dataloader, original.val_dataloader):
        for step in loader.dataset.pipeline:
            if step.type == 'Resize':
                step.scale = (60, 50)
    for name in ('train', 'val'):
        (folder / f'{name}.json').write_text(json.dumps(VALID))
    retargeted = copy.deepcopy(original)
    use_own_data(args, retargeted)

    def judge(source, train, val):
        for name, content in (('train', train), ('val', val)):
            (folder / f'{name}.json').write_text(json.dumps(content))
        own = source == '--data-root'
        cfg = copy.deepcopy(original if own else retargeted)
        if not own:
            for loader in (cfg.train_dataloader, cfg.val_dataloader):
                loader.dataset.metainfo.classes = names_of(train)
        with read_once(), DefaultScope.overwrite_default_scope('mmdet'):
            if own:
                use_own_data(args, cfg)
            check_loaders(cfg, 'train', 'val')
            check_data(cfg, 'train', 'val')
            inspect_data(cfg, report := DataReport())
        for problem in report.problems:
            if 'but its annotations declare' in problem:
                # It is found when the image is loaded.
                raise UserValueError(problem)
        return report

    return judge


#: what a config is made for, whose data are then replaced
VALID = dict(
    images=[dict(id=1, file_name='a.png', width=48, height=40)],
    annotations=[
        dict(
            id=1,
            image_id=1,
            category_id=1,
            bbox=[2, 2, 9, 9],
            area=81,
            segmentation=[[2, 2, 11, 2, 11, 11, 2, 11]],
        )
    ],
    categories=[dict(id=1, name='cat')],
)


def names_of(content):
    """Give the classes as the author of a config would read them."""
    entries = content.get('categories')
    entries = entries if isinstance(entries, list) else []
    names = [one.get('name') for one in entries if isinstance(one, dict)]
    return [name for name in names if isinstance(name, str)] or [*NAMES]


@pytest.fixture(scope='module')
def judge(tmp_path_factory):
    gc.freeze()  # mmengine collects garbage for each data set that it builds
    yield make_judge(tmp_path_factory.mktemp('any'))
    gc.unfreeze()


@pytest.mark.parametrize('source', ['--data-root', 'config'])
@settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(train=annotation_files(changes=1), val=annotation_files())
def test_refused_or_perfect(judge, source, train, val):
    assert_refused_or_perfect(judge, source, train, val)


def assert_refused_or_perfect(judge, source, train, val):
    """Give whether the files are accepted."""
    try:
        report = judge(source, train, val)
    except UserError as error:
        assert '\n' not in str(error)
        return False
    assert report.problems == []
    assert {score.ap for score in report.scores.values()} == {1.0}
    assert [*report.scores] == ['bbox', 'segm']
    return True
