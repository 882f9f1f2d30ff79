"""A mistake in the config ends every command in one sentence.

1. arguments that do not exist, and values of another kind, also where the
   model is built by mmdet's own functions;
2. any arguments on the command line, also files of a wrong kind.
"""

import errno
import importlib
import json
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmdet.apis import init_detector
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope

from cbnet.commands import main as commands
from cbnet.errors import UserError
from tests.test_arguments.odd_values import SCALE, fuzz

MISTAKES = {
    'model.backbone.num_member=3': (
        "CompositeBackbone has no argument 'num_member'; did you mean "
        "'num_members'"
    ),
    'model.backbone.connection=abc': (
        "CompositeBackbone: connection='abc'; expected a dict of settings by "
        'name, or None'
    ),
    'model.assistance=5': (
        'AssistedDetector: assistance=5; expected a dict of settings by '
        'name, or None'
    ),
    'model.backbone.member.dept=18': (
        "CompositeBackbone: member: ResNet has no argument 'dept'; did you "
        "mean 'depth'"
    ),
    'model.backbone.with_cp=1': (
        'model.backbone.with_cp=1; expected True or False'
    ),
    'model.rpn_hed=None': (
        "MaskRCNN has no argument 'rpn_hed'; did you mean 'rpn_head'"
    ),
}


@pytest.fixture
def call(run_command):
    """Run a command in this process; give its status and its last line."""

    def run(*arguments):
        status, output = run_command(*arguments)
        lines = output.strip().splitlines()
        return status, lines[-1] if lines else ''

    return run


PADDING = (
    "model.data_preprocessor.pad_size_divisor='x'; expected a whole number "
    'from 1'
)
FIRST = next(iter(MISTAKES.items()))


@pytest.mark.parametrize(
    ('command', 'option', 'message'),
    [(name, *FIRST) for name in ('train', 'test', 'infer')]
    + [('get-flops', *mistake) for mistake in MISTAKES.items()]
    + [
        (name, 'model.data_preprocessor.pad_size_divisor=x', PADDING)
        for name in ('train', 'test', 'infer', 'get-flops', 'browse-data')
    ]
    + [
        ('train', 'model.type=No', 'the config cannot be built: KeyError: No'),
        ('train', 'train_cfg.val_interval=0', 'train_cfg.val_interval=0; ex'),
        ('train', 'train_cfg.step=3', 'train_cfg or train_dataloader of the '),
        (
            'train',
            'optim_wrapper.optimizer.type=Adamm',
            'optim_wrapper of the',
        ),
        (
            'train',
            'param_scheduler.end=x',
            "param_scheduler.end='x'; expected",
        ),
        (
            'train',
            'param_scheduler.type=x',
            'param_scheduler of the config ca',
        ),
        (
            'train',
            'optim_wrapper.optimizer.lr=x',
            'optim_wrapper.optimizer.lr',
        ),
        ('train', 'default_hooks.logger.interval=x', 'default_hooks.logger.i'),
        ('train', 'train_dataloader.batch_size=two', 'train_dataloader.batch'),
        ('test', 'test_dataloader.num_workers=two', 'test_dataloader.num_wor'),
        ('browse-data', 'train_dataloader.sampler=No', 'train_dataloader.sam'),
        ('test', 'test_evaluator.type=Coco', 'test_cfg, test_dataloader or t'),
        ('test', 'test_evaluator.iou_thrs=0.5', 'CheckedCocoMetric: iou_thrs'),
        ('test', 'test_evaluator.ann_file=None', 'CocoMetric has no ann_file'),
    ],
)
def test_one_sentence(
    command, option, message, call, tiny_config, tmp_path, tiny_coco, request
):
    (tmp_path / 'any.pth').touch()
    # A metric without a file fails at the first image only.
    late = option == 'test_evaluator.ann_file=None'
    checkpoint = request.getfixturevalue('weights') if late else 'any.pth'
    image = tiny_coco.root / 'val' / '001.png'
    further = dict(test=[checkpoint], infer=['any.pth', image])
    arguments = [command, tiny_config, *further.get(command, [])]
    status, line = call(*arguments, '--cfg-options', option)
    assert status == 2
    place = r'(\S+: )?(AssistedDetector: )?'
    assert re.match(
        f'cbnet {command}: error: {place}{re.escape(message)}', line
    ), line
    assert len(line) < 600


def test_an_image_that_stops_an_evaluation(
    call, tiny_config, weights, tiny_coco, monkeypatch
):
    def fail(self, batch_inputs, *args, **options):
        raise RuntimeError('out of memory')

    monkeypatch.setattr('mmdet.models.MaskRCNN.predict', fail)
    path = tiny_coco.root / 'val' / '001.png'
    reason = f'image {path} stops the evaluation: RuntimeError: out of memory'
    for command, *arguments in (
        ('test', weights),
        ('test', weights, '--tta'),
        ('train', '--cfg-options', 'train_cfg.max_iters=2'),
    ):
        status, line = call(command, tiny_config, *arguments)
        assert (status, line) == (2, f'cbnet {command}: error: {reason}')


def test_an_image_that_stops_a_training(call, tiny_config, monkeypatch):
    def fail(self, batch_inputs, *args, **options):
        raise error

    monkeypatch.setattr('mmdet.models.MaskRCNN.loss', fail)
    error = RuntimeError('out of memory')
    for further in ('', EPOCHS):
        tiny_config.write_text(tiny_config.read_text() + further)
        status, line = call('train', tiny_config)
        assert status == 2
        assert re.fullmatch(
            r'cbnet train: error: image \S+/train/00\d.png stops the '
            r'training: RuntimeError: out of memory',
            line,
        )
    error = OSError(errno.ENOSPC, 'No space left')
    status, line = call('train', tiny_config)
    assert status == 2 and line.endswith('(a training with --resume)')


EPOCHS = """
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
train_dataloader['sampler'] = dict(type='DefaultSampler', shuffle=False)
"""


def causes(error):
    while error is not None:
        yield error
        hidden = error.__suppress_context__
        error = error.__cause__ or (None if hidden else error.__context__)


@pytest.mark.parametrize('build', ['init_detector', 'registry'])
def test_outside_of_commands(build, tiny_config):
    cfg = Config.fromfile(tiny_config)
    cfg.merge_from_dict({'model.backbone.num_member': 3})
    with pytest.raises(UserError) as raised:
        if build == 'registry':
            with DefaultScope.overwrite_default_scope('mmdet'):
                MODELS.build(cfg.model)
        else:
            init_detector(cfg, device='cpu')
    assert str(raised.value).startswith(FIRST[1])
    assert len([*causes(raised.value)]) == 1


WORDS = [
    '', '-', '--', 'abc', '-1', '0', '3', '99999999999999999999', 'nan',
    '0.5', 'none', 'auto', '[', 'a=1', 'a=[', '=', 'model=3', 'model=None',
    'model.backbone=None', 'model.type=abc', 'load_from=3', 'work_dir=3',
    'test_dataloader=3', 'default_scope=abc', 'custom_imports=3',
    'train_dataloader=3', 'optim_wrapper=3', 'test_evaluator=3',
    'train_dataloader.dataset=3', 'default_hooks=3', 'custom_hooks=3',
    'auto_scale_lr=3', 'test_pipeline=3', 'test_cfg=3', 'randomness=3',
    'FOLDER', 'EMPTY', 'TEXT', 'IMAGE', 'JSON', 'BROKEN.py', 'NUMBERS.py',
    'SMALL.py', 'gone.pth', 'gone/gone.py', 'mmdet::abc.py', 'abc::abc.py',
    'a.json', 'a.png', 'a.pkl', 'x' * 300,
]  # fmt: skip
FILES = ['EMPTY', 'TEXT', 'IMAGE', 'JSON', 'SMALL.py', 'plain.pth']
if SCALE > 1:  # these build and run models, or ask for a server
    FILES += ['tiny.py', 'tiny.pth', 'http://localhost:9/a.pth']
WORD = st.sampled_from(WORDS) | st.sampled_from(FILES)
SMALL = """\
model = dict(type='CompositeBackbone', member=3)
train_dataloader = dict(batch_size=1, dataset=dict(type='CocoDataset'))
test_dataloader = val_dataloader = train_dataloader
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
test_pipeline = []
"""


@pytest.fixture
def odd_files(tmp_path, tiny_coco, weights):
    """Make the files that are named above."""
    torch.save(
        {'backbone.layer1.0.conv1.weight': torch.ones(1)},
        tmp_path / 'plain.pth',
    )
    (tmp_path / 'FOLDER').mkdir()
    (tmp_path / 'EMPTY').touch()
    (tmp_path / 'TEXT').write_text('abc')
    (tmp_path / 'JSON').write_text(json.dumps(dict(images=[3])))
    (tmp_path / 'IMAGE').symlink_to(tiny_coco.root / 'val' / '001.png')
    (tmp_path / 'BROKEN.py').write_text('model = dict(')
    (tmp_path / 'NUMBERS.py').write_text('model = 1 / 0')
    (tmp_path / 'SMALL.py').write_text(SMALL)
    return tmp_path


def parser_of(command):
    module = f'cbnet.commands.parsers.{command.replace("-", "_")}'
    return importlib.import_module(module).make_parser()


def draw_line(command):
    """Draw one word for each positional argument, and up to two options."""
    actions = parser_of(command)._actions[1:]  # without --help
    words = [WORD for action in actions if not action.option_strings]
    option = st.one_of(
        st.tuples(
            st.just(action.option_strings[0]),
            *[WORD] * (action.nargs != 0),
        )
        for action in actions
        if action.option_strings
    )
    required = [a.option_strings[:1] for a in actions if a.required]
    return st.tuples(
        st.just((command,)),
        st.tuples(*words),
        *[
            st.tuples(st.just(name), WORD)
            for names in required
            for name in names
        ],
        st.lists(option, max_size=2).map(lambda found: sum(found, ())),
    ).map(lambda parts: sum(parts, ()))


# The others start processes, or examine the installation.
LINES = st.sampled_from(
    sorted(set(commands.COMMANDS) - {'quickstart', 'doctor'})
).flatmap(draw_line)


@fuzz(120)
@given(LINES)
def test_any_command_line(call, odd_files, line):
    status, said = call(*line)
    # The data of the config, which are not there, are a problem.
    found = {1} if line[0] == 'check-data' else set()
    assert status in {0, 2} | found, said
    assert len(said) < 3000
