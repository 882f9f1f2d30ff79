"""timm creates models and reads no file but its own weights.

1. every option that names a file or an address is refused, before anything
   is read; so are models of foreign addresses and folders;
2. timm's own weights are read as data, whatever timm asks torch for, from
   ``TimmBackbone(pretrained=True)`` and from ``timm://``; the error names the
   model and never advises unsafe loading.
"""

import dataclasses
import inspect
import io

import pytest
import timm
import torch
from mmengine.runner import CheckpointLoader
from timm.models import _registry

from cbnet.errors import UnsafeCheckpointError
from cbnet.models.members.timm import TimmBackbone
from cbnet.pretrained import create_timm_model

from ..test_compat.smuggling import Smuggled

NAME = 'test_resnet.r160_in1k'
WAYS = {
    'function': lambda: create_timm_model(NAME, pretrained=True),
    'backbone': lambda: TimmBackbone(NAME, pretrained=True),
    'scheme': lambda: CheckpointLoader.load_checkpoint(f'timm://{NAME}'),
}


@pytest.fixture
def smuggled(tmp_path):
    """A file whose command would make another file, ``marker``."""
    path = tmp_path / 'net.pth'
    torch.save(Smuggled(io.open, str(tmp_path / 'marker'), 'w'), path)
    yield path
    assert not (tmp_path / 'marker').exists()


@pytest.mark.parametrize('way', [create_timm_model, TimmBackbone])
@pytest.mark.parametrize('wrap', [str, lambda p: dict(file=str(p))])
@pytest.mark.parametrize(
    'key',
    [
        'checkpoint_path',
        'cache_dir',
        'pretrained_cfg',
        'pretrained_cfg_overlay',
        'pretrained_model_args',
    ],
)
def test_files_are_refused(smuggled, way, key, wrap):
    options = {key: wrap(smuggled), 'pretrained': True}
    with pytest.raises(ValueError, match=f'{key}=.*name the weights in init'):
        way('test_resnet', **options)


def test_no_option_of_timm_is_forgotten():
    """A new one is looked at here before a new timm is allowed."""
    assert {*inspect.signature(timm.create_model).parameters} == {
        *('model_name', 'pretrained', 'pretrained_cfg'),
        *('pretrained_cfg_overlay', 'checkpoint_path', 'cache_dir'),
        *('scriptable', 'exportable', 'no_jit', 'kwargs'),
    }


@pytest.mark.parametrize('source', ['hf-hub:', 'hf_hub:', 'local-dir:', './'])
def test_foreign_models_are_refused(source, tmp_path):
    name = f'{source}{tmp_path}/test_resnet'
    with pytest.raises(ValueError, match='is not a timm model'):
        create_timm_model(name, pretrained=True)
    with pytest.raises(ValueError, match='is not a timm model'):
        CheckpointLoader.load_checkpoint(f'timm://{name}')


def test_weights_that_timm_does_not_have():
    message = 'no_such.*expected one of hgnet_tiny.paddle_in1k, hgnet_tiny.s'
    for pretrained in (False, True):
        with pytest.raises(ValueError, match=message):
            create_timm_model('hgnet_tiny.no_such', pretrained=pretrained)


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('unsafe', [False, True])
def test_timms_own_file_is_data(smuggled, monkeypatch, way, unsafe):
    """As if someone had replaced it, also with a timm that asks for pickle."""
    cfg = dataclasses.replace(
        _registry._model_pretrained_cfgs[NAME],
        hf_hub_id=None,
        file=str(smuggled),
    )
    monkeypatch.setitem(_registry._model_pretrained_cfgs, NAME, cfg)
    if unsafe:
        monkeypatch.setattr(
            'timm.models._builder.load_state_dict',
            lambda path, **_: torch.load(path, weights_only=False),
        )
    with pytest.raises(UnsafeCheckpointError) as caught:
        WAYS[way]()
    said = str(caught.value)
    assert f'timm://{NAME}: refused' in said and 'io.open' in said
    assert 'weights_only' not in said and '\n' not in said
