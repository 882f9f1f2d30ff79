"""The ways from a checkpoint's place to its content, one function each.

A place prepares what leads to ``setting.file`` and returns a function that
loads it.  Most return the address for ``CheckpointLoader.load_checkpoint``.
"""

import sys
from types import ModuleType, SimpleNamespace

from mmengine.registry import MODELS
from mmengine.runner import CheckpointLoader, checkpoint, load_checkpoint

from cbnet.compat.safe_loading import load_safely
from cbnet.testing import TINY_MEMBERS, build_model, tiny_composite


class Setting(SimpleNamespace):
    """What a place may use.

    Attributes:
        file: the checkpoint, ``net.pth`` in a temporary folder.
        url: the address of a server that serves it.
        monkeypatch: pytest's.
    """


# name -> function; its places give the file's content, or a model.
CONTENT, MODEL = {}, {}


def loads(table, name):
    def register(function):
        table[name] = function
        return function

    return register


def address(name):
    """Register a function that returns the address to load."""

    def register(function):
        def load(setting):
            return CheckpointLoader.load_checkpoint(function(setting), 'cpu')

        CONTENT[name] = load
        return function

    return register


@address('local')
def local(setting):
    return str(setting.file)


@address('http')
def http(setting):
    return setting.url


def in_table(setting, table, name, value):
    """Let a table of published models name the file."""
    setting.monkeypatch.setattr(
        checkpoint, f'get_{table}_models', lambda: {name: value}
    )


@address('torchvision')
def torchvision(setting):
    in_table(setting, 'torchvision', 'net', setting.url)
    return 'torchvision://net'


@address('modelzoo')
def modelzoo(setting):
    in_table(setting, 'torchvision', 'net', setting.url)
    return 'modelzoo://net'


@address('open-mmlab')
def open_mmlab(setting):
    in_table(setting, 'external', 'net', setting.url)
    return 'open-mmlab://net'


@address('openmmlab')
def openmmlab(setting):
    in_table(setting, 'external', 'net', setting.url)
    return 'openmmlab://net'


@address('open-mmlab, a file')
def open_mmlab_file(setting):
    """A name without an address is a file in mmengine's home."""
    setting.monkeypatch.setenv('MMENGINE_HOME', str(setting.file.parent))
    in_table(setting, 'external', 'local', setting.file.name)
    return 'open-mmlab://local'


@address('mmcls')
def mmcls(setting):
    """Keeps only the keys below ``backbone.``."""
    in_table(setting, 'mmcls', 'net', setting.url)
    return 'mmcls://net'


@address('package')
def package(setting):
    folder = setting.file.parent / 'packed_weights'
    folder.mkdir()
    (folder / '__init__.py').touch()
    (folder / 'net.pth').symlink_to(setting.file)
    setting.monkeypatch.syspath_prepend(folder.parent)
    setting.monkeypatch.delitem(sys.modules, 'packed_weights', raising=False)
    return 'package://packed_weights/net.pth'


@address('s3')
def s3(setting):
    """A store that no test can reach: its client gives the file's bytes."""
    store = SimpleNamespace(get=lambda name: setting.file.read_bytes())
    setting.monkeypatch.setattr(
        checkpoint, 'get_file_backend', lambda *args, **kwargs: store
    )
    return 's3://bucket/net.pth'


@address('pavi')
def pavi(setting):
    """A client that downloads a copy of the file."""

    def download(path):
        with open(path, 'wb') as copy:
            copy.write(setting.file.read_bytes())

    model = SimpleNamespace(name='net.pth', download=download)
    client = ModuleType('pavi')
    client.modelcloud = SimpleNamespace(get=lambda path: model)
    setting.monkeypatch.setitem(sys.modules, 'pavi', client)
    return 'pavi://net.pth'


@loads(CONTENT, 'http loader by itself')
def http_loader(setting):
    return checkpoint.load_from_http(setting.url, 'cpu')


@loads(CONTENT, 'local loader by itself')
def local_loader(setting):
    return checkpoint.load_from_local(str(setting.file), 'cpu')


@loads(CONTENT, 's3 loader by itself')
def s3_loader(setting):
    return checkpoint.load_from_ceph(s3(setting), 'cpu')


@loads(CONTENT, 'converters')
def converters(setting):
    return load_safely(setting.file)


@loads(MODEL, 'into a model')
def into_a_model(setting):
    model = build_model(TINY_MEMBERS['resnet'])
    load_checkpoint(model, str(setting.file))
    return model


@loads(MODEL, 'init_cfg')
def pretrained_model(setting):
    init_cfg = dict(type='Pretrained', checkpoint=setting.url)
    model = MODELS.build(
        dict(TINY_MEMBERS['resnet'], init_cfg=init_cfg, _scope_='mmdet')
    )
    model.init_weights()
    return model


@loads(MODEL, 'member')
def member(setting):
    cfg = tiny_composite()
    cfg['member']['init_cfg'] = dict(
        type='Pretrained', checkpoint=str(setting.file)
    )
    composite = build_model(cfg)
    composite.init_weights()
    return composite.members[0]
