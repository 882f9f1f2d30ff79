"""A mistake in the config ends every command in one sentence.

1. arguments that do not exist, and values of another kind, also where the
   model is built by mmdet's own functions;
2. any arguments on the command line, also files of a wrong kind.
"""

import re

import pytest
from mmdet.apis import init_detector
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope

from cbnet.commands import main as commands
from cbnet.errors import UserError

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
        'AssistedDetector.backbone.with_cp=1; expected True or False'
    ),
    'model.rpn_hed=None': (
        "MaskRCNN has no argument 'rpn_hed'; did you mean 'rpn_head'"
    ),
}


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    """Run a command in this process; give its status and its last line."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            commands.main([*map(str, arguments)])
            status = 0
        except SystemExit as end:
            status = end.code
        lines = capsys.readouterr().err.strip().splitlines()
        return status, lines[-1] if lines else ''

    return run


FIRST = next(iter(MISTAKES.items()))


@pytest.mark.parametrize(
    ('command', 'option', 'message'),
    [(name, *FIRST) for name in ('train', 'test', 'infer')]
    + [('get-flops', *mistake) for mistake in MISTAKES.items()],
)
def test_one_sentence(
    command, option, message, call, tiny_config, tmp_path, tiny_coco
):
    (tmp_path / 'any.pth').touch()
    image = tiny_coco.root / 'val' / '001.png'
    further = dict(test=['any.pth'], infer=['any.pth', image])
    arguments = [command, tiny_config, *further.get(command, [])]
    status, line = call(*arguments, '--cfg-options', option)
    assert status == 2
    place = r'(\S+: )?(AssistedDetector: )?'
    assert re.match(
        f'cbnet {command}: error: {place}{re.escape(message)}', line
    ), line
    assert len(line) < 600


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
