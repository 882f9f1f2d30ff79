"""The detectors of mmdet's configs, and what is checked of each twin.

``python -m tests.test_models.served_detectors`` writes docs/detectors.md from
the rows that ``make detectors`` has left in build/detectors.
"""

import json
import logging
import tempfile
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope
from torch.nn.parallel import DistributedDataParallel

from cbnet.config_files import find_config, read_config
from cbnet.errors import UserTypeError, UserValueError
from cbnet.testing import build_model
from cbnet.twins import TwinOptions, compose

from .detector_batches import VIDEOS, batch_for
from .detector_pairs import assert_equal, memory_of, open_connections
from .shrunk_detectors import classes_of, shrunk

ROOT = Path(__file__).parents[2]
ROWS = ROOT / 'build' / 'detectors'
PAGE = ROOT / 'docs' / 'detectors.md'
LIST = (ROOT / 'tests/data/detectors_mmdet.txt').read_text().splitlines()
FAMILIES = {
    line.split('\t')[1]: line.split('\t')[0]
    for line in LIST
    if not line.startswith('#')
}
STEPS = 5
# Quick ones of each family, for every run of the tests.
FAST = (
    'centernet/centernet_r18_8xb16-crop512-140e_coco.py',
    'yolof/yolof_r50-c5_8xb8-1x_coco.py',
    'yolox/yolox_s_8xb8-300e_coco.py',
    'rpn/rpn_r50_fpn_1x_coco.py',
    'dynamic_rcnn/dynamic-rcnn_r50_fpn_1x_coco.py',
    'detr/detr_r50_8xb2-150e_coco.py',
    'rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py',
    'lvis/mask-rcnn_r50_fpn_sample1e-3_ms-1x_lvis-v1.py',
    'maskformer/maskformer_r50_ms-16xb1-75e_coco.py',
    'mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py',
    'detectors/detectors_cascade-rcnn_r50_1x_coco.py',
    'tridentnet/tridentnet_r50-caffe_1x_coco.py',
)
YES = 'yes'
COLUMNS = (
    'config', 'family', 'detector', 'builds', 'losses', 'names', 'gradients',
    'five steps', 'state', 'predictions', 'DDP', 'remark',
)  # fmt: skip
HEADER = """# Detectors

`make detectors` writes this page: it composes the twin of every config of
mmdet in `tests/data/detectors_mmdet.txt`, with two members and assistance as
published, and compares it with the same detector without assistance. The
configs are mmdet's, with fewer layers, queries and channels, on made-up
images. {passed} of {tried} pass.

* *builds*: `cbnet compose` writes the twin, and its model builds.
* *losses*: they are finite, and each loss of the lead has its counterpart
  `assist0.*`, as far as the model asks the detector for its losses.
* *names*: the names of all parameters are those without assistance.
* *gradients*: every parameter that learns without assistance has a gradient.
* *five steps*: the losses of the lead are the same in five steps, bit for bit.
* *state*: after these steps, neck and heads remember the same.
* *predictions*: they are the same, bit for bit.
* *DDP*: two steps run with `find_unused_parameters=False`.

A row without these marks says why the composite is refused, or which package
is missing for the plain detector. PAA, LAD, BoxInst, GLIP and Grounding DINO
need `pip install 'cbnet[detectors]'`, ConvNeXt needs mmpretrain (1.2.0,
without transformers); the two that read texts get a tiny BERT. MaskTrack R-CNN
and QDTrack call the heads of the detector that they hold, so they are tried
without assistance.

"""


class Twin:
    """The twin of a config, with and without assistance, same weights.

    Args:
        name: the config of mmdet.
        options: the options of ``compose``.
    """

    def __init__(self, name, **options):
        base = str(find_config(f'mmdet::{name}'))
        model = shrunk(read_config(Path(base), name).model)
        self.kind, self.classes = model['type'], classes_of(model)
        self.masks = FAMILIES[name] not in ('one-stage', 'two-stage')
        with tempfile.TemporaryDirectory() as folder:
            file, out = Path(folder, 'plain.py'), Path(folder, 'twin.py')
            text = f'model = dict(_delete_=True, **{model!r})\n'
            text = text.replace(': inf', ": float('inf')")
            file.write_text(f'_base_ = {base!r}\n{text}')
            compose(str(file), out, TwinOptions(**options))
            assisted, single = (Config.fromfile(out).model for _ in range(2))
        detector = single.get('detector', single)
        detector.update(type=detector.pop('base'))
        detector.pop('assistance')
        torch.manual_seed(0)
        self.single = build_model(single)
        torch.manual_seed(0)  # teachers are in no state dict
        self.assisted = build_model(assisted)
        self.single.init_weights()
        for part in self.single.modules():
            if hasattr(part, 'backbone'):
                open_connections(part)
        self.assisted.load_state_dict(self.single.state_dict())

    def batch(self, model, seed=0, training=True, kind=None):
        batch = batch_for(
            kind or self.kind, self.classes, seed, self.masks, training
        )
        with DefaultScope.overwrite_default_scope('mmdet'):
            return model.data_preprocessor(batch, training)

    def losses(self, model, seed=0, call=None):
        model.train()
        with DefaultScope.overwrite_default_scope('mmdet'):
            return (call or model)(**self.batch(model, seed), mode='loss')

    def five_steps(self, model):
        torch.manual_seed(0)
        return [self.losses(model, seed) for seed in range(STEPS)]

    def predictions(self, model):
        model.eval()
        torch.manual_seed(0)
        video = self.kind in VIDEOS
        kind = self.kind if video else 'images'
        batch = self.batch(model, training=False, kind=kind)
        if not video:  # mmcv's masked convolution takes one at a time
            batch = {key: value[:1] for key, value in batch.items()}
        if self.kind == 'ByteTrack':  # its tracker needs the package lap
            model, (frames,) = model.detector, batch['data_samples']
            batch = dict(
                inputs=batch['inputs'][:, 0], data_samples=[frames[0]]
            )
        with torch.no_grad(), DefaultScope.overwrite_default_scope('mmdet'):
            return model(**batch, mode='predict')


def examine(name):
    """Compare a twin with the detector without assistance; make its row."""
    from mmdet.models.trackers import byte_tracker  # after cbnet

    logging.disable(logging.WARNING)
    if byte_tracker.lap is None:
        byte_tracker.lap = object()  # only tracking needs the package
    row = [name, FAMILIES.get(name, ''), *[''] * 10]
    try:
        twin = Twin(name)
    except (ImportError, UserTypeError, UserValueError) as error:
        missing = isinstance(error, ImportError) or any(
            words in str(error) for words in ('even before', 'custom_imports')
        )
        row[-1] = f'{"not tried" if missing else "refused"}: {_short(error)}'
        return row
    finally:
        logging.disable(logging.NOTSET)
    row[2], row[3] = twin.kind, YES
    try:
        examine_passes(twin, row)
    except ImportError as error:
        row[-1] = f'not tried: {_short(error)}'
    except UserTypeError as error:  # nothing is assisted
        twin = Twin(name, weights=0)
        examine_passes(twin, row)
        row[-1] = f'without assistance: {_short(error)}'
    return row


def examine_passes(twin, row):
    single, assisted = twin.single, twin.assisted
    hub = MessageHub.get_current_instance()
    hub.update_info_dict(dict(iter=0, epoch=0))  # some heads ask for them
    expected, found = map(twin.five_steps, (single, assisted))
    for one, other in zip(expected, found, strict=True):
        for key, value in one.items():
            assert_equal(other[key], value)
    extra = found[-1].keys() - expected[-1].keys()
    missing = learn(single, expected[-1]), learn(assisted, found[-1])
    assert extra or not any(
        any(getattr(part, 'assistant_weights', ()))
        for part in assisted.modules()
    )
    row[4] = f'{len(expected[-1])} + {len(extra)}'
    assert list(assisted.state_dict()) == list(single.state_dict())
    row[5] = YES
    assert missing[1] <= missing[0], missing[1] - missing[0]
    row[6] = YES
    row[7] = YES
    state = memory_of(assisted)
    for place, value in memory_of(single).items():
        assert state[place] == value, place
    row[8] = YES
    pair = [twin.predictions(model) for model in (single, assisted)]
    assert _tensors(pair[0])
    for a, b in zip(*map(_tensors, pair), strict=True):
        assert torch.equal(a, b)
    row[9] = YES
    row[10] = two_ddp_steps(twin, find_unused=bool(missing[0]))
    if missing[0]:
        row[-1] = f'as in mmdet, nothing reads {sorted(missing[0])[0]}'


def learn(model, losses):
    """Go backward; return the names of parameters without a gradient."""
    total, _ = model.parse_losses(losses)
    assert torch.isfinite(total)
    total.backward()
    missing = {
        name
        for name, p in model.named_parameters()
        if p.requires_grad and p.grad is None
    }
    model.zero_grad()
    return missing


def two_ddp_steps(twin, find_unused):
    torch.distributed.init_process_group(
        'gloo', store=torch.distributed.HashStore(), rank=0, world_size=1
    )
    try:
        ddp = DistributedDataParallel(
            twin.assisted, find_unused_parameters=find_unused
        )
        for seed in range(2):
            losses = twin.losses(twin.assisted, seed, ddp)
            twin.assisted.parse_losses(losses)[0].backward()
    finally:
        torch.distributed.destroy_process_group()
    return 'with find_unused_parameters' if find_unused else YES


def _tensors(value):
    """List the tensors in predictions."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, list | tuple):
        return [y for part in value for y in _tensors(part)]
    if hasattr(value, 'items'):
        return [y for _, part in value.items() for y in _tensors(part)]
    return []


def _short(error):
    text = ' '.join(str(error).split())
    for start in (
        'does not build: ',
        'made composite: ',
        'be a member: ',
        'cannot be imported: ',
    ):
        text = text.rpartition(start)[2] if start in text else text
    for end in ('. To serve', ', the current sys.path'):
        text = text.partition(end)[0]
    return text.replace('|', '/')[:300]


def page():
    """Make the text of docs/detectors.md from the rows in build/detectors."""
    rows = [json.loads(row_file(name).read_text()) for name in FAMILIES]
    passed = sum(row[10] != '' for row in rows)
    lines = [COLUMNS, ['---'] * len(COLUMNS), *rows]
    table = ''.join(f'| {" | ".join(cells)} |\n' for cells in lines)
    return HEADER.format(passed=passed, tried=len(rows)) + table


def row_file(name):
    return ROWS / f'{name.replace("/", "_")}.json'


if __name__ == '__main__':
    PAGE.write_text(page())
