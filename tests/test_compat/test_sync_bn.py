"""MMSyncBN: mmcv's synchronised batch normalisation through the served ops.

Scenarios: one process and two (threads, each its own gloo group) against
torch's BatchNorm over the whole batch, forward, backward and running
statistics; a process without images; momentum None; no running statistics;
float16; in evaluation; mmengine's convert_sync_batchnorm and
revert_sync_batchnorm; built as a norm layer from its name; bfloat16 and a
missing process group, which mmcv refuses.
"""

import threading
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
from mmcv.cnn import ConvModule
from mmcv.ops import SyncBatchNorm
from mmengine.model import convert_sync_batchnorm, revert_sync_batchnorm
from torch import nn


def in_processes(sizes, work):
    """Run work(rank, group) in a thread each; return what each returned."""
    store, found, errors = dist.HashStore(), {}, []

    def run(rank):
        try:
            group = dist.ProcessGroupGloo(
                store, rank, len(sizes), timedelta(seconds=30)
            )
            found[rank] = work(rank, group)
        except Exception as error:
            errors.append(error)

    threads = [
        threading.Thread(target=run, args=(rank,), daemon=True)
        for rank in range(len(sizes))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors, errors
    return [found[rank] for rank in range(len(sizes))]


def random_case(count=6):
    g = torch.Generator().manual_seed(count)
    shape = (count, 4, 3, 5)
    x = torch.randn(shape, generator=g) * 3 + 1
    return x, torch.randn(shape, generator=g)


def prepare(layer):
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.5, 1.0, -1.0, 2.0]))
        layer.bias.copy_(torch.tensor([0.0, 1.0, -1.0, 0.5]))
    return layer


def run(layer, x, cotangent):
    leaf = x.clone().requires_grad_()
    out = layer(leaf)
    (out * cotangent).sum().backward()
    return (
        out.detach(),
        leaf.grad,
        layer.weight.grad,
        layer.bias.grad,
        layer.running_mean,
        layer.running_var,
    )


@pytest.mark.parametrize('momentum', [0.1, None])
@pytest.mark.parametrize('mode', ['default', 'N'])
def test_one_process_equals_batch_norm(one_process, mode, momentum):
    x, cotangent = random_case()
    plain = prepare(nn.BatchNorm2d(4, momentum=momentum))
    synced = prepare(SyncBatchNorm(4, momentum=momentum, stats_mode=mode))
    for _ in range(2):
        want, found = (run(one, x, cotangent) for one in (plain, synced))
        torch.testing.assert_close(found, want, rtol=1e-4, atol=1e-5)
        plain.zero_grad()
        synced.zero_grad()
        x = x * 2 - 1
    plain.eval()
    synced.eval()
    torch.testing.assert_close(synced(x), plain(x))


@pytest.mark.parametrize('mode', ['default', 'N'])
def test_two_processes_equal_one_batch(mode):
    x, cotangent = random_case()
    parts = list(zip(x.split(3), cotangent.split(3), strict=True))

    def work(rank, group):
        layer = prepare(SyncBatchNorm(4, group=group, stats_mode=mode))
        return run(layer, *parts[rank])

    found = in_processes(parts, work)
    want = run(prepare(nn.BatchNorm2d(4)), x, cotangent)
    close = dict(rtol=1e-4, atol=1e-5)
    for number in range(2):
        joined = torch.cat([one[number] for one in found])
        torch.testing.assert_close(joined, want[number], **close)
    for one in found:
        # mmcv leaves every process the mean, as DDP does.
        for number in (2, 3):
            torch.testing.assert_close(one[number] * 2, want[number], **close)
        torch.testing.assert_close(one[4:], want[4:], **close)


def test_a_process_without_images():
    x, cotangent = random_case(4)
    parts = [(x, cotangent), (x[:0], cotangent[:0])]

    def work(rank, group):
        layer = prepare(SyncBatchNorm(4, group=group, stats_mode='N'))
        return run(layer, *parts[rank])

    full, empty = in_processes(parts, work)
    want = run(prepare(nn.BatchNorm2d(4)), x, cotangent)
    torch.testing.assert_close(full[0], want[0], rtol=1e-4, atol=1e-5)
    assert empty[0].shape == empty[1].shape == (0, 4, 3, 5)
    for one in (full, empty):
        torch.testing.assert_close(one[4], want[4])
    assert torch.isfinite(empty[5]).all()


def test_no_images_at_all(one_process):
    x, cotangent = random_case(0)
    found = run(prepare(SyncBatchNorm(4, stats_mode='N')), x, cotangent)
    assert found[1].shape == (0, 4, 3, 5)
    assert not found[2].any()
    assert torch.equal(found[4], torch.zeros(4))
    assert torch.equal(found[5], torch.ones(4))


def test_without_running_statistics(one_process):
    x, _ = random_case()
    layer = prepare(SyncBatchNorm(4, track_running_stats=False))
    plain = prepare(nn.BatchNorm2d(4, track_running_stats=False))
    torch.testing.assert_close(layer(x), plain(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('autocast', [False, True])
def test_float16(one_process, autocast):
    x, cotangent = (one.half() for one in random_case())
    want = run(prepare(nn.BatchNorm2d(4)), x.float(), cotangent.float())
    with torch.autocast('cpu', dtype=torch.float16, enabled=autocast):
        found = run(prepare(SyncBatchNorm(4)), x, cotangent)
    assert found[0].dtype == found[1].dtype == torch.float16
    for one, other in zip(found, want, strict=True):
        torch.testing.assert_close(one.float(), other, rtol=2e-3, atol=2e-3)


def test_mmcv_refuses_bfloat16(one_process):
    with pytest.raises(AssertionError, match='only support Half or Float'):
        SyncBatchNorm(4)(random_case()[0].bfloat16())


def test_mmcv_refuses_to_be_built_without_processes():
    with pytest.raises(ValueError, match='process group'):
        SyncBatchNorm(4)


def test_conversions_of_mmengine(one_process):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(4, 4, 3), prepare(nn.BatchNorm2d(4)))
    weights = {k: v.clone() for k, v in plain.state_dict().items()}
    x = random_case()[0]
    want = plain(x)
    plain.load_state_dict(weights)
    synced = convert_sync_batchnorm(plain, 'mmcv')
    assert isinstance(synced[1], SyncBatchNorm)
    torch.testing.assert_close(synced(x), want, rtol=1e-4, atol=1e-5)
    back = revert_sync_batchnorm(synced)
    assert isinstance(back[1], nn.modules.batchnorm._BatchNorm)
    assert back.state_dict().keys() == weights.keys()
    back.load_state_dict(weights)
    torch.testing.assert_close(back(x), want, rtol=1e-4, atol=1e-5)


def test_as_a_norm_layer(one_process):
    layer = ConvModule(4, 6, 1, norm_cfg=dict(type='MMSyncBN'))
    assert isinstance(layer.norm, SyncBatchNorm)
    out = layer(random_case()[0])
    out.sum().backward()
    assert torch.isfinite(layer.conv.weight.grad).all()
