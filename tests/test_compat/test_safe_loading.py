"""Safe loading from every place that can hold a checkpoint.

1. every scheme of mmengine and cbnet, members, pretrained models (places.py):
   a file with a command is refused, the error names the file and the global,
   and nothing runs, whatever torch's environment variable says; an honest
   file loads from the same place;
2. honest files of other times: numpy 1's names, the format before torch 1.6;
3. the environment is restored afterwards; a broken file is one clear error;
4. the replaced functions: by ``import cbnet``, once, and only if mmengine's
   are as expected.
"""

import dataclasses
import functools
import io
import os
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from mmengine.runner import CheckpointLoader, checkpoint

from cbnet.compat import safe_loading
from cbnet.errors import BrokenCheckpointError, UnsafeCheckpointError

from .places import CONTENT, MODEL, Setting
from .smuggling import (
    Smuggled,
    check_honest,
    honest,
    tiny_weights,
)

SAFE = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
UNSAFE = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a log."""

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def server(tmp_path):
    """The address of a server of ``tmp_path``."""
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as found:
        thread = threading.Thread(target=found.serve_forever, args=[0.01])
        thread.start()
        yield f'http://127.0.0.1:{found.server_port}'
        found.shutdown()
        thread.join()


@pytest.fixture
def setting(tmp_path, monkeypatch, server):
    """A place for ``net.pth``, and a torch that nobody told to be unsafe."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    monkeypatch.delenv(SAFE, raising=False)
    monkeypatch.delenv(UNSAFE, raising=False)
    return Setting(
        file=tmp_path / 'net.pth',
        url=f'{server}/net.pth',
        monkeypatch=monkeypatch,
    )


COMMANDS = {
    'open': (io.open, 'io.open'),
    'mkdir': (os.mkdir, f'{os.mkdir.__module__}.mkdir'),
}


@pytest.mark.parametrize('forced', [False, True], ids=['', 'unsafe variable'])
@pytest.mark.parametrize('place', [*CONTENT, *MODEL])
def test_commands_are_refused(setting, place, forced):
    if forced:
        setting.monkeypatch.setenv(UNSAFE, '1')
    smuggle(setting, place, 'open')


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('command', COMMANDS)
@pytest.mark.parametrize('place', ['http', 'local'])
def test_every_format_of_file(setting, place, command, zipped):
    setting.monkeypatch.setenv(UNSAFE, '1')
    smuggle(setting, place, command, zipped)


def smuggle(setting, place, command, zipped=True):
    """Load a file with a command from a place; it must be refused."""
    function, name = COMMANDS[command]
    marker = setting.file.with_name('marker')
    arguments = (str(marker), 'w') if command == 'open' else (str(marker),)
    torch.save(
        dict(state_dict=tiny_weights(), meta=Smuggled(function, *arguments)),
        setting.file,
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(UnsafeCheckpointError) as caught:
        {**CONTENT, **MODEL}[place](setting)
    assert not marker.exists()
    message = str(caught.value)
    assert name in message
    asked = place.split(',')[0]
    assert (
        'net.pth' in message
        or f'{asked}://' in message
        or place == 's3 loader by itself'  # it reads bytes without a name
    )
    assert 'weights_only' not in message and '\n' not in message


@pytest.mark.parametrize('place', [p for p in CONTENT if p != 'mmcls'])
def test_honest_files_load(setting, place):
    weights = tiny_weights()
    honest(weights, path=setting.file)
    check_honest(CONTENT[place](setting), weights)


@pytest.mark.parametrize('place', MODEL)
def test_honest_weights_reach_models(setting, place):
    weights = tiny_weights()
    honest(weights, path=setting.file)
    found = MODEL[place](setting).state_dict()
    for name, value in weights.items():
        assert torch.equal(found[name], value)


def test_honest_mmcls_file(setting):
    weights = {f'backbone.{k}': v for k, v in tiny_weights().items()}
    honest(weights, path=setting.file)
    found = CONTENT['mmcls'](setting)['state_dict']
    assert torch.equal(found['conv1.weight'], weights['backbone.conv1.weight'])


@pytest.mark.parametrize(
    'options',
    [dict(numpy_1=True), dict(zipped=False)],
    ids=['numpy 1', 'before torch 1.6'],
)
@pytest.mark.parametrize('place', ['local', 'http'])
def test_files_of_other_times(setting, place, options):
    weights = tiny_weights()
    honest(weights, **options, path=setting.file)
    check_honest(CONTENT[place](setting), weights)


@pytest.fixture(params=['url', 'file'])
def timm_weights(request, setting, monkeypatch):
    """A name of timm's whose weights are the file of ``setting``."""
    import timm
    from timm.models import _registry

    name = 'resnet10t.c3_in1k'
    source = dict(url=setting.url, file=str(setting.file))
    cfg = dataclasses.replace(
        _registry._model_pretrained_cfgs[name],
        hf_hub_id=None,
        **{request.param: source[request.param]},
    )
    monkeypatch.setitem(_registry._model_pretrained_cfgs, name, cfg)
    return name, timm.create_model('resnet10t').state_dict()


def test_timm_honest(setting, timm_weights):
    name, weights = timm_weights
    torch.save(weights, setting.file)
    found = CheckpointLoader.load_checkpoint(f'timm://{name}')
    assert torch.equal(found['conv1.0.weight'], weights['conv1.0.weight'])


def test_timm_smuggled(setting, timm_weights, monkeypatch):
    name, weights = timm_weights
    marker = setting.file.with_name('marker')
    weights['meta'] = Smuggled(io.open, str(marker), 'w')
    torch.save(weights, setting.file)
    monkeypatch.setenv(UNSAFE, '1')
    with pytest.raises(UnsafeCheckpointError) as caught:
        CheckpointLoader.load_checkpoint(f'timm://{name}')
    assert not marker.exists()
    message = str(caught.value)
    assert f'timm://{name}' in message and 'io.open' in message
    assert 'weights_only' not in message


def test_a_loader_that_asks_for_unsafe_loading(setting):
    """Such as older timm's and other packages' schemes."""
    marker = setting.file.with_name('marker')
    torch.save(Smuggled(io.open, str(marker), 'w'), setting.file)

    def load_from_elsewhere(filename, map_location=None):
        return torch.load(setting.file, weights_only=False)

    schemes = dict(CheckpointLoader._schemes)
    CheckpointLoader.register_scheme('elsewhere://', load_from_elsewhere)
    try:
        with pytest.raises(UnsafeCheckpointError, match='elsewhere://net.*io'):
            CheckpointLoader.load_checkpoint('elsewhere://net')
    finally:
        CheckpointLoader._schemes = schemes
    assert not marker.exists()


def test_https_is_the_loader_of_http():
    find = CheckpointLoader._get_checkpoint_loader
    assert find('https://host/net.pth') is find('http://host/net.pth')


@pytest.mark.filterwarnings('ignore')  # TorchScript is on its way out
def test_torchscript_is_refused_without_advice(tmp_path):
    torch.jit.save(
        torch.jit.trace(torch.nn.ReLU(), torch.ones(1)), tmp_path / 'net.pth'
    )
    with pytest.raises(UnsafeCheckpointError, match='TorchScript') as caught:
        CheckpointLoader.load_checkpoint(str(tmp_path / 'net.pth'))
    assert 'net.pth' in str(caught.value)
    assert 'weights_only=False' not in str(caught.value)


@pytest.mark.parametrize('zipped', [True, False])
def test_a_broken_file_is_one_clear_error(tmp_path, zipped):
    file = tmp_path / 'net.pth'
    torch.save(tiny_weights(), file, _use_new_zipfile_serialization=zipped)
    data = file.read_bytes()
    half = data[: len(data) // 2]
    for content in (b'', b'text', b'<html>', data[:3], data[:100], half):
        file.write_bytes(content)
        with pytest.raises(BrokenCheckpointError) as caught:
            CheckpointLoader.load_checkpoint(str(file))
        assert 'net.pth' in str(caught.value)
        assert 'weights_only' not in str(caught.value)
        assert '\n' not in str(caught.value)


def test_other_errors_pass(tmp_path, setting):
    with pytest.raises(FileNotFoundError, match='none.pth'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'none.pth'))
    torch.save(torch.ones(1), setting.file)
    with pytest.raises(RuntimeError, match='nowhere'):
        CheckpointLoader.load_checkpoint(str(setting.file), 'nowhere')


@pytest.mark.parametrize('before', [None, '0', '1'])
def test_the_environment_afterwards(setting, monkeypatch, before, caplog):
    if before:
        monkeypatch.setenv(UNSAFE, before)
    honest(tiny_weights(), path=setting.file)
    CheckpointLoader.load_checkpoint(str(setting.file))
    with pytest.raises(FileNotFoundError):
        CheckpointLoader.load_checkpoint(
            str(setting.file.with_name('none.pth'))
        )
    assert os.environ.get(UNSAFE) == before
    assert SAFE not in os.environ


def test_the_variable_is_ignored_aloud(setting, monkeypatch):
    lines = []
    monkeypatch.setattr(
        safe_loading, 'print_log', lambda text, **_: lines.append(text)
    )
    honest(tiny_weights(), path=setting.file)
    CheckpointLoader.load_checkpoint(str(setting.file))
    assert not lines
    monkeypatch.setenv(UNSAFE, 'yes')
    CheckpointLoader.load_checkpoint(str(setting.file))
    assert len(lines) == 1 and UNSAFE in lines[0]


def test_on_by_import_and_once():
    found = CheckpointLoader.load_checkpoint, checkpoint.load_url
    assert hasattr(found[0], 'cbnet')
    safe_loading.keep_loading_safe()
    assert CheckpointLoader.load_checkpoint == found[0]
    assert checkpoint.load_url is found[1]


def test_another_mmengine_is_refused(monkeypatch):
    def load_checkpoint(cls, path):
        """Take other arguments."""

    monkeypatch.setattr(
        CheckpointLoader, 'load_checkpoint', classmethod(load_checkpoint)
    )
    with pytest.raises(ImportError, match='mmengine changed.*pip install'):
        safe_loading.keep_loading_safe()
