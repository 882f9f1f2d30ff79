"""Make files that try to run a command, and honest ones beside them."""

import pickle
import zipfile
from argparse import Namespace

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from cbnet.testing import TINY_MEMBERS, build_model


class Smuggled:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def tiny_weights():
    """State dict of the tiny ResNet."""
    return build_model(TINY_MEMBERS['resnet']).state_dict()


def honest(weights, numpy_1=False, zipped=True, path=None):
    """Write what mmengine, self-supervised and old files hold.

    Args:
        weights: name to tensor.
        numpy_1: name numpy's functions as version 1 did.
        zipped: in torch's format of today, not the one before 1.6.
        path: where to.
    """
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    hub = dict(
        log_scalars={'train/loss': buffer, 'empty': HistoryBuffer()},
        runtime_info=dict(epoch=np.int64(3), lr=np.float32(0.5), name='é'),
        resumed_keys={},
    )
    arrays = dict(
        palette=np.arange(6, dtype='>i2').reshape(3, 2).T,
        names=np.array(['a', 'bcd']),
        flag=np.bool_(True),
        word=np.str_(''),
    )
    checkpoint = dict(
        state_dict=weights,
        message_hub=hub,
        meta=dict(seed=1, dataset_meta=arrays),
        args=Namespace(lr=0.1, nested=Namespace(arch='resnet')),
    )
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    if numpy_1:
        rename(path, b'numpy._core', b'numpy.core')
    return checkpoint


def check_honest(found, weights):
    """Compare what was loaded with what ``honest`` wrote."""
    for name, value in weights.items():
        assert torch.equal(found['state_dict'][name], value)
    hub = found['message_hub']
    buffer = hub['log_scalars']['train/loss']
    assert type(buffer) is HistoryBuffer
    assert buffer.statistics('mean') == 1.5
    buffer.update(6.0)
    assert buffer.statistics('mean', 1) == 6 and buffer.current() == 6
    assert len(hub['log_scalars']['empty'].data[0]) == 0
    assert hub['runtime_info'] == dict(epoch=3, lr=0.5, name='é')
    arrays = found['meta']['dataset_meta']
    assert arrays['palette'].tolist() == [[0, 2, 4], [1, 3, 5]]
    assert arrays['names'].tolist() == ['a', 'bcd']
    assert arrays['flag'] == np.True_ and arrays['word'] == ''
    args = found['args']
    assert type(args) is Namespace and type(args.nested) is Namespace
    assert args == Namespace(lr=0.1, nested=Namespace(arch='resnet'))


def rename(path, old, new):
    """Replace bytes of the pickle inside a zipped file."""
    with zipfile.ZipFile(path) as file:
        content = {item: file.read(item) for item in file.namelist()}
    with zipfile.ZipFile(path, 'w') as file:
        for item, data in content.items():
            if item.endswith('data.pkl'):
                assert old in data
                data = data.replace(old, new)
            file.writestr(item, data)


def write_pickle(path, *parts):
    """Write a zipped file whose pickle is put together by hand.

    Args:
        path: where to.
        parts: opcodes as bytes; anything else is pickled.
    """
    data = b''.join(
        part if type(part) is bytes else pickle.dumps(part, 2)[2:-1]
        for part in parts
    )
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr('archive/data.pkl', b'\x80\x02' + data + b'.')
        file.writestr('archive/version', '3\n')
        file.writestr('archive/byteorder', 'little')
