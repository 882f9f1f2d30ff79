"""Any annotation file is refused in a sentence, or can be trained on.

For whatever Hypothesis writes: the files are accepted by the same code as
for ``cbnet train --data-root``, or refused with a sentence. If they are
accepted, every training image passes the pipeline, and the objects of the
validation set, fed back as detections, have a box and mask AP of 1.0.
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
from cbnet.errors import UserError, UserValueError
from cbnet.evaluation.data_report import DataReport, inspect_data
from tests.test_datasets.annotation_files import IMAGES, annotation_files


def make_judge(folder):
    """Make a function that judges a training and a validation file.

    It raises a ``UserError`` if ``cbnet train`` would refuse them; otherwise
    it gives the report of ``cbnet check-data``.
    """
    for name, (width, height) in IMAGES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        pixels = np.arange(width * height * 3) % 251
        image = pixels.reshape(height, width, 3).astype(np.uint8)
        Image.fromarray(image).save(folder / name)
    args = make_parser().parse_args(
        ['--data-root', str(folder), '--work-dir', str(folder / 'work')]
    )
    original = load_config(args)
    for loader in (original.train_dataloader, original.val_dataloader):
        for step in loader.dataset.pipeline:
            if step.type == 'Resize':
                step.scale = (60, 50)

    def judge(train, val):
        for name, content in (('train', train), ('val', val)):
            (folder / f'{name}.json').write_text(json.dumps(content))
        cfg = copy.deepcopy(original)
        with read_once(), DefaultScope.overwrite_default_scope('mmdet'):
            use_own_data(Namespace(**vars(args), auto_scale_lr=True), cfg)
            check_data(cfg, 'train', 'val')
            inspect_data(cfg, report := DataReport())
        for problem in report.problems:
            if 'but its annotations declare' in problem:
                # It is found when the image is loaded.
                raise UserValueError(problem)
        return report

    return judge


@pytest.fixture(scope='module')
def judge(tmp_path_factory):
    gc.freeze()  # mmengine collects garbage for each data set that it builds
    yield make_judge(tmp_path_factory.mktemp('any'))
    gc.unfreeze()


@settings(
    max_examples=250,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(train=annotation_files(changes=1), val=annotation_files())
def test_refused_or_perfect(judge, train, val):
    assert_refused_or_perfect(judge, train, val)


def assert_refused_or_perfect(judge, train, val):
    """Give whether the files are accepted."""
    try:
        report = judge(train, val)
    except UserError as error:
        assert '\n' not in str(error)
        return False
    assert report.problems == []
    assert {score.ap for score in report.scores.values()} == {1.0}
    assert [*report.scores] == ['bbox', 'segm']
    return True
