"""The list of devices.

Scenarios: the CPU computes; a GPU of each generation and its types of mixed
precision, and one that does not compute; Metal, where mmengine has no mixed
precision (torch stands in for the hardware that a machine lacks).
"""

from types import SimpleNamespace

import pytest
import torch

from cbnet.doctor.facts import list_devices


@pytest.fixture
def hardware(monkeypatch):
    """Make torch report other devices; sums on them fail or not."""

    def pretend(major=None, metal=False, error=None):
        gpu = SimpleNamespace(
            name='Some GPU', total_memory=24 * 2**30, major=major, minor=6
        )
        ones = torch.ones

        def make(*shape, device):
            if error and device != 'cpu':
                raise RuntimeError(error)
            return ones(*shape)

        for owner, name, value in (
            (torch.cuda, 'is_available', major is not None),
            (torch.cuda, 'device_count', 2),
            (torch.backends.mps, 'is_available', metal),
        ):
            monkeypatch.setattr(owner, name, lambda value=value: value)
        monkeypatch.setattr(torch.cuda, 'get_device_properties', lambda i: gpu)
        monkeypatch.setattr(torch.version, 'cuda', '13.2')
        monkeypatch.setattr(torch, 'ones', make)
        return list_devices()['devices']

    return pretend


def test_cpu(hardware):
    (cpu,) = hardware()
    assert cpu['name'] == 'cpu' and cpu['error'] is None
    assert cpu['mixed_precision'] == ['bfloat16']
    threads = torch.get_num_threads()
    assert cpu['description'].endswith(f' cores, torch uses {threads}')


@pytest.mark.parametrize(
    ('major', 'types'), [(7, ['float16']), (8, ['float16', 'bfloat16'])]
)
def test_gpus(hardware, major, types):
    _, first, second = hardware(major=major)
    assert (first['name'], second['name']) == ('cuda:0', 'cuda:1')
    assert first['mixed_precision'] == types and first['error'] is None
    assert first['description'] == (
        f'Some GPU, 24 GiB, capability {major}.6, CUDA 13.2'
    )


def test_a_gpu_that_does_not_compute(hardware):
    cpu, gpu, _ = hardware(major=3, error='no kernel image\nis available\n')
    assert gpu['error'] == 'no kernel image is available'
    assert cpu['error'] is None


def test_metal(hardware):
    _, metal = hardware(metal=True)
    assert metal['name'] == 'mps' and metal['mixed_precision'] == []
