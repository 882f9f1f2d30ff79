"""An override of a variable of the config file is refused, by its uses.

- texts that begin with it, lists and numbers; a key inside it;
- settings that are read are overridden, also those that only mmdet reads;
- texts with spaces, and with commas in quotes, stay as they are; numbers and
  lists are read as mmengine reads them.
"""

import pytest
from mmengine.config import Config

from cbnet.commands.overrides import (
    read_overrides,
    refuse_variables,
    text_override,
    train_from,
)

TEXT = """
data_root = 'data/coco/'
max_epochs = 12
scale = (1333, 800)
pipeline = [dict(type='Resize', scale=scale)]
unused = 99
backend_args = None
train_dataloader = dict(
    batch_size=2, dataset=dict(data_root=data_root, pipeline=pipeline)
)
val_evaluator = dict(ann_file=data_root + 'val.json', backend_args=None)
train_cfg = dict(max_epochs=max_epochs)
auto_scale_lr = dict(base_batch_size=12)
"""


@pytest.fixture
def cfg(tmp_path):
    (tmp_path / 'config.py').write_text(TEXT)
    return Config.fromfile(tmp_path / 'config.py')


@pytest.mark.parametrize(
    ('key', 'places'),
    [
        (
            'data_root',
            'train_dataloader.dataset.data_root, val_evaluator.ann_file, or '
            'give --data-root',
        ),
        (
            'max_epochs',
            'train_cfg.max_epochs, auto_scale_lr.base_batch_size',
        ),
        ('scale', 'train_dataloader.dataset.pipeline.0.scale'),
        ('pipeline.0.scale', 'train_dataloader.dataset.pipeline'),
    ],
)
def test_variables(cfg, key, places):
    with pytest.raises(ValueError) as caught:
        refuse_variables(cfg, [key])
    name = key.partition('.')[0]
    said = str(caught.value)
    assert said.startswith(f'--cfg-options {key}: {name} (')
    assert said.endswith(f'override what it is used for: {places}')


def test_settings_that_are_read(cfg):
    keys = 'train_dataloader.batch_size train_cfg.max_epochs auto_scale_lr.x'
    refuse_variables(cfg, [*keys.split(), 'new', 'unused', 'backend_args'])


def test_by_the_command(run_command, tiny_config):
    option = 'load.0.to_float32=True'
    status, said = run_command('train', tiny_config, '--cfg-options', option)
    assert status == 2 and 'load (' in said and 'variable of the' in said


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('my out/results', 'my out/results'),
        ('"a, b/c"', 'a, b/c'),
        ("'[old] runs/x.pth'", '[old] runs/x.pth'),
        ('0.5', 0.5),
        ('"0.5"', 0.5),
        (' 7 ', 7),
        ('[1, 2]', [1, 2]),
        ('"[(a, b), (1, 2)]"', [('a', 'b'), (1, 2)]),
        ('a, b', ['a', 'b']),
        ('', ''),
    ],
)
def test_texts_and_values(text, value):
    assert read_overrides([f'x.y={text}', 'z=1']) == {'x.y': value, 'z': 1}


def test_plain_paths_have_no_quotes():
    assert text_override('x', 'runs/a.pth') == 'x=runs/a.pth'
    assert train_from('c.py', 'my runs/a, b.pth') == (
        """cbnet train c.py --cfg-options 'load_from="my runs/a, b.pth"'"""
    )


@pytest.mark.parametrize('path', ['/a b/c', 'a,b', '(x)/y [1]/z', '/plain'])
def test_a_path_as_an_override(path):
    assert read_overrides([text_override('x', path)]) == {'x': path}
