"""The config in a checkpoint of Microsoft's Swin training code.

1. a ``yacs.config.CfgNode`` comes back as a dict of what it held, whether or
   not yacs is installed, and can be saved and read again;
2. what else such an object could bring along is refused: a command among its
   values or its attributes, or in the place of its items.
"""

import os
import sys
from types import ModuleType

import pytest
import torch
from mmengine.runner import CheckpointLoader

from cbnet.errors import UnsafeCheckpointError

from .smuggling import Smuggled, write_pickle

NODE = b'cyacs.config\nCfgNode\n'
NEW, BUILD = b')\x81', b'b'
MKDIR = f'c{os.mkdir.__module__}\nmkdir\n'.encode()


@pytest.fixture
def config_node(monkeypatch):
    """A class that pickles as yacs's does: items, and flags as attributes."""

    class CfgNode(dict):
        def __init__(self, items=None):
            super().__init__(items or {})
            vars(self).update(__immutable__=True, __deprecated_keys__=set())

    CfgNode.__module__, CfgNode.__qualname__ = 'yacs.config', 'CfgNode'
    yacs, config = ModuleType('yacs'), ModuleType('yacs.config')
    config.CfgNode = CfgNode
    monkeypatch.setitem(sys.modules, 'yacs', yacs)
    monkeypatch.setitem(sys.modules, 'yacs.config', config)
    return CfgNode


def test_a_config_comes_back(tmp_path, config_node, monkeypatch):
    node = config_node({'LR': 0.1, 'SWIN': config_node({'DEPTHS': [2, 2]})})
    weights = {'weight': torch.ones(1)}
    torch.save(dict(model=weights, config=node), tmp_path / 'run.pth')
    monkeypatch.delitem(sys.modules, 'yacs.config')
    for name in ('run.pth', 'again.pth'):
        file = CheckpointLoader.load_checkpoint(str(tmp_path / name))
        assert file['config'] == {'LR': 0.1, 'SWIN': {'DEPTHS': [2, 2]}}
        assert isinstance(file['config']['SWIN'], dict)
        torch.save(file, tmp_path / 'again.pth')
    assert b'yacs' not in (tmp_path / 'again.pth').read_bytes()


@pytest.mark.parametrize('place', ['value', 'attribute'])
def test_commands_in_a_config_are_refused(
    tmp_path, config_node, monkeypatch, place
):
    monkeypatch.chdir(tmp_path)
    node, command = config_node(), Smuggled(os.mkdir, 'made_by_a_checkpoint')
    if place == 'value':
        node['x'] = command
    else:
        node.x = command
    torch.save(dict(model={}, config=node), 'bad.pth')
    with pytest.raises(UnsafeCheckpointError, match='bad.pth: refused'):
        CheckpointLoader.load_checkpoint('bad.pth')
    assert not os.path.exists('made_by_a_checkpoint')


@pytest.mark.parametrize(
    'parts',
    [
        (NODE, NEW, {'__setstate__': 1}, BUILD, MKDIR, BUILD),
        (NODE, NEW, '__reduce__', MKDIR, b's'),
    ],
    ids=['state', 'item'],
)
def test_pickles_put_together_by_hand(tmp_path, monkeypatch, parts):
    monkeypatch.chdir(tmp_path)
    write_pickle('bad.pth', *parts)
    with pytest.raises(UnsafeCheckpointError, match=r'it asks for .*mkdir'):
        CheckpointLoader.load_checkpoint('bad.pth')
    assert not os.path.exists('made_by_a_checkpoint')
