"""One training step and one evaluation of each extension config.

``python -m tests.test_configs.extension_runs`` prints the rows that
``CBNET_EXTENSIONS=small pytest tests/test_configs/test_extension_runs.py`` has
left in build/extensions.
"""

import json
import sys
from pathlib import Path

from mmengine.config import Config

from ..test_models.shrunk_detectors import few_queries, shrunk

ROOT = Path(__file__).parents[2]
ROWS = ROOT / 'build' / 'extensions'
EXTENSIONS = sorted(
    path.stem for path in (ROOT / 'configs/extensions').glob('*.py')
)
#: Images are smaller by this factor; RTMDet needs multiples of the strides.
SMALLER, STRIDE = 8, 32
_SIZES = ('scale', 'scales', 'img_scale', 'crop_size', 'size')


def small_config(name, whole=False):
    """Read a config and change what a step on two cores needs.

    Args:
        name: the stem of its file.
        whole: whether the model keeps its size, but for the number of
            queries; it starts from random weights in any case.
    """
    cfg = Config.fromfile(ROOT / f'configs/extensions/{name}.py')
    cfg.model = (few_queries if whole else shrunk)(cfg.model)
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        _smaller_images(loader)
    train = cfg.train_dataloader
    train.batch_size = 2
    if 'source_ratio' in train.sampler:
        train.sampler.update(batch_size=2, source_ratio=[1, 1])
    cfg.train_cfg = dict(
        type='IterBasedTrainLoop', max_iters=1, val_interval=1
    )
    if name.endswith('_vis'):  # it writes files for a server
        cfg.val_evaluator = dict(type='YouTubeVISMetric')
        cfg.test_evaluator = cfg.val_evaluator
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint.update(
        by_epoch=False, interval=1, save_best=None, save_optimizer=False
    )
    cfg.log_processor = dict(by_epoch=False)
    cfg.visualizer.name = name  # one of that name writes elsewhere
    cfg.randomness = dict(seed=0)
    return cfg


def _smaller_images(node):
    if isinstance(node, list | tuple):
        for part in node:
            _smaller_images(part)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in _SIZES:
            node[key] = _smaller(value)
        _smaller_images(value)


def _smaller(value):
    if isinstance(value, list | tuple):
        return type(value)(map(_smaller, value))
    if not isinstance(value, int):
        return value
    return max(1, round(value / SMALLER / STRIDE)) * STRIDE


def logged(folder):
    """Read what the runs of a work dir have logged: losses, figures."""
    files = sorted(folder.glob('*/vis_data/scalars.json'))
    lines = [
        json.loads(line)
        for file in files
        for line in file.read_text().splitlines()
    ]
    losses = [line for line in lines if 'loss' in line]
    return losses, [line for line in lines if 'loss' not in line]


def figure_of(figures):
    """Choose what tells most of an evaluation: the name and the value."""
    for end in ('PQ', 'segm_mAP', 'bbox_mAP'):
        for name, value in figures.items():
            if name.endswith(end):
                return name, value
    raise KeyError(f'no figure in {figures}')


def table():
    """Make a table of the rows in build/extensions."""
    head = ['config', 'model', 'sum of the losses', 'evaluation', 'value']
    rows = [json.loads(file.read_text()) for file in sorted(ROWS.glob('*'))]
    lines = [head, ['---'] * len(head), *rows]
    return ''.join(f'| {" | ".join(map(str, row))} |\n' for row in lines)


if __name__ == '__main__':
    sys.stdout.write(table())
