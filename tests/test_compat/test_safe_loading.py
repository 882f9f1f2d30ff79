"""Safe loading in every path that reads a checkpoint.

1. every scheme of mmengine and cbnet, members, pretrained models, a runner's
   load_from: a file with a command is refused and names file and global,
   nothing runs, whatever torch's environment variable says; an honest one
   loads through the same path;
2. honest files of other times: numpy 1's names, the format before torch 1.6;
3. the environment is as it was afterwards; a broken file is one clear error;
4. the replaced parts: on by ``import cbnet``, once, and only as expected.
"""

import dataclasses
import functools
import io
import os
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType, SimpleNamespace

import pytest
import torch
from mmengine.registry import MODELS
from mmengine.runner import CheckpointLoader, checkpoint, load_checkpoint

from cbnet.compat import safe_loading
from cbnet.errors import (
    BrokenCheckpointError,
    UnsafeCheckpointError,
)
from cbnet.testing import TINY_MEMBERS, build_model, tiny_composite

from .smuggling import (
    Smuggled,
    check_honest,
    honest,
    tiny_weights,
)

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
def place(tmp_path, monkeypatch, server):
    """The folder of the file, with all addresses that lead to it."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path))
    monkeypatch.delenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', raising=False)
    monkeypatch.delenv(UNSAFE, raising=False)
    url = f'{server}/net.pth'
    for table in ('torchvision', 'mmcls'):
        monkeypatch.setattr(
            checkpoint, f'get_{table}_models', lambda: {'net': url}
        )
    monkeypatch.setattr(
        checkpoint,
        'get_external_models',
        lambda: {'net': url, 'local': 'net.pth'},
    )
    (tmp_path / 'packed_weights').mkdir()
    (tmp_path / 'packed_weights' / '__init__.py').touch()
    os.symlink(tmp_path / 'net.pth', tmp_path / 'packed_weights' / 'net.pth')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'packed_weights', raising=False)
    # Stores that no test can reach: their clients give the file's bytes.
    store = SimpleNamespace(
        get=lambda name: (tmp_path / 'net.pth').read_bytes()
    )
    monkeypatch.setattr(checkpoint, 'get_file_backend', lambda *a, **k: store)
    model = SimpleNamespace(
        name='net.pth',
        download=lambda to: open(to, 'wb').write(
            (tmp_path / 'net.pth').read_bytes()
        ),
    )
    pavi = ModuleType('pavi')
    pavi.modelcloud = SimpleNamespace(get=lambda path: model)
    monkeypatch.setitem(sys.modules, 'pavi', pavi)
    return tmp_path


def whole(source):
    return lambda place, url: CheckpointLoader.load_checkpoint(
        source.format(place=place, url=url), 'cpu'
    )


def into_a_model(place, url):
    model = build_model(TINY_MEMBERS['resnet'])
    load_checkpoint(model, str(place / 'net.pth'))
    return model


def pretrained_model(place, url):
    init_cfg = dict(type='Pretrained', checkpoint=f'{url}/net.pth')
    model = MODELS.build(
        dict(TINY_MEMBERS['resnet'], init_cfg=init_cfg, _scope_='mmdet')
    )
    model.init_weights()
    return model


def member(place, url):
    cfg = tiny_composite()
    cfg['member']['init_cfg'] = dict(
        type='Pretrained', checkpoint=str(place / 'net.pth')
    )
    composite = build_model(cfg)
    composite.init_weights()
    return composite.members[0]


WHOLE = {
    'local': whole('{place}/net.pth'),
    'http': whole('{url}/net.pth'),
    'torchvision': whole('torchvision://net'),
    'modelzoo': whole('modelzoo://net'),
    'open-mmlab': whole('open-mmlab://net'),
    'openmmlab': whole('openmmlab://net'),
    'open-mmlab, a file': whole('open-mmlab://local'),
    'pavi': whole('pavi://net.pth'),
    's3': whole('s3://bucket/net.pth'),
    'package': whole('package://packed_weights/net.pth'),
    'http loader by itself': lambda place, url: checkpoint.load_from_http(
        f'{url}/net.pth', 'cpu'
    ),
    'converters': lambda place, url: safe_loading.load_safely(
        place / 'net.pth'
    ),
}
MODEL = {
    'into a model': into_a_model,
    'init_cfg': pretrained_model,
    'member': member,
}
# No honest file: of mmcls, the keys below 'backbone.' alone are left.
PATHS = {**WHOLE, **MODEL, 'mmcls': whole('mmcls://net')}
COMMANDS = {
    'open': (io.open, 'io.open'),
    'mkdir': (os.mkdir, f'{os.mkdir.__module__}.mkdir'),
}


@pytest.mark.parametrize('forced', [False, True], ids=['', 'unsafe variable'])
@pytest.mark.parametrize('path', PATHS)
def test_commands_are_refused(place, server, path, forced, monkeypatch):
    smuggle(place, path, forced, server, monkeypatch, 'open')


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('command', COMMANDS)
def test_every_format_of_file(place, server, command, zipped, monkeypatch):
    smuggle(place, 'http', True, server, monkeypatch, command, zipped)
    smuggle(place, 'local', True, server, monkeypatch, command, zipped)


def smuggle(place, path, forced, url, monkeypatch, command, zipped=True):
    function, name = COMMANDS[command]
    marker = place / 'marker'
    arguments = (str(marker), 'w') if command == 'open' else (str(marker),)
    torch.save(
        dict(state_dict=tiny_weights(), meta=Smuggled(function, *arguments)),
        place / 'net.pth',
        _use_new_zipfile_serialization=zipped,
    )
    if forced:
        monkeypatch.setenv(UNSAFE, '1')
    # One loader is called below the seam that names the file.
    below = path == 'http loader by itself'
    error = Exception if below else UnsafeCheckpointError
    with pytest.raises(error) as caught:
        PATHS[path](place, url)
    assert not marker.exists()
    if not below:
        message = str(caught.value)
        assert name in message
        asked = path.split(',')[0]
        assert 'net.pth' in message or f'{asked}://' in message
        assert 'weights_only' not in message and '\n' not in message


@pytest.mark.parametrize('path', WHOLE)
def test_honest_files_load(place, server, path):
    weights = tiny_weights()
    honest(weights, path=place / 'net.pth')
    check_honest(WHOLE[path](place, server), weights)


@pytest.mark.parametrize('path', MODEL)
def test_honest_weights_reach_models(place, server, path):
    weights = tiny_weights()
    honest(weights, path=place / 'net.pth')
    found = MODEL[path](place, server).state_dict()
    for name, value in weights.items():
        assert torch.equal(found[name], value)


def test_honest_mmcls_file(place, server):
    weights = {f'backbone.{k}': v for k, v in tiny_weights().items()}
    honest(weights, path=place / 'net.pth')
    found = PATHS['mmcls'](place, server)['state_dict']
    assert torch.equal(found['conv1.weight'], weights['backbone.conv1.weight'])


@pytest.mark.parametrize(
    'options',
    [dict(numpy_1=True), dict(zipped=False)],
    ids=['numpy 1', 'before torch 1.6'],
)
@pytest.mark.parametrize('path', ['local', 'http'])
def test_files_of_other_times(place, server, path, options):
    weights = tiny_weights()
    honest(weights, **options, path=place / 'net.pth')
    check_honest(WHOLE[path](place, server), weights)


@pytest.fixture(params=['url', 'file'])
def timm_weights(request, place, server, monkeypatch):
    """A name of timm's whose weights are the file of ``place``."""
    import timm
    from timm.models import _registry

    name = 'resnet10t.c3_in1k'
    source = dict(url=f'{server}/net.pth', file=str(place / 'net.pth'))
    cfg = dataclasses.replace(
        _registry._model_pretrained_cfgs[name],
        hf_hub_id=None,
        **{request.param: source[request.param]},
    )
    monkeypatch.setitem(_registry._model_pretrained_cfgs, name, cfg)
    return name, timm.create_model('resnet10t').state_dict()


def test_timm_honest(place, timm_weights):
    name, weights = timm_weights
    torch.save(weights, place / 'net.pth')
    found = CheckpointLoader.load_checkpoint(f'timm://{name}')
    assert torch.equal(found['conv1.0.weight'], weights['conv1.0.weight'])


def test_timm_smuggled(place, timm_weights, monkeypatch):
    name, weights = timm_weights
    marker = place / 'marker'
    weights['meta'] = Smuggled(io.open, str(marker), 'w')
    torch.save(weights, place / 'net.pth')
    monkeypatch.setenv(UNSAFE, '1')
    with pytest.raises(UnsafeCheckpointError) as caught:
        CheckpointLoader.load_checkpoint(f'timm://{name}')
    assert not marker.exists()
    message = str(caught.value)
    assert f'timm://{name}' in message and 'io.open' in message
    assert 'weights_only' not in message


def test_a_loader_that_asks_for_unsafe_loading(place):
    """Such as older timm's and other packages' schemes."""
    marker = place / 'marker'
    torch.save(Smuggled(io.open, str(marker), 'w'), place / 'net.pth')

    def load_from_elsewhere(filename, map_location=None):
        return torch.load(place / 'net.pth', weights_only=False)

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
        assert '\n' not in str(caught.value)


def test_other_errors_pass(tmp_path, place):
    with pytest.raises(FileNotFoundError, match='none.pth'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'none.pth'))
    torch.save(torch.ones(1), place / 'net.pth')
    with pytest.raises(RuntimeError, match='nowhere'):
        CheckpointLoader.load_checkpoint(str(place / 'net.pth'), 'nowhere')


@pytest.mark.parametrize('before', [None, '0', '1'])
def test_the_environment_afterwards(place, monkeypatch, before, caplog):
    if before:
        monkeypatch.setenv(UNSAFE, before)
    honest(tiny_weights(), path=place / 'net.pth')
    CheckpointLoader.load_checkpoint(str(place / 'net.pth'))
    with pytest.raises(FileNotFoundError):
        CheckpointLoader.load_checkpoint(str(place / 'none.pth'))
    assert os.environ.get(UNSAFE) == before
    assert safe_loading._ON not in os.environ


def test_the_variable_is_ignored_aloud(place, monkeypatch):
    lines = []
    monkeypatch.setattr(
        safe_loading, 'print_log', lambda text, **_: lines.append(text)
    )
    honest(tiny_weights(), path=place / 'net.pth')
    CheckpointLoader.load_checkpoint(str(place / 'net.pth'))
    assert not lines
    monkeypatch.setenv(UNSAFE, 'yes')
    CheckpointLoader.load_checkpoint(str(place / 'net.pth'))
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
