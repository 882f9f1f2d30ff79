"""Members under ``torch.compile``, with backends that need no compiler.

1. Maps, gradients and statistics are those without, in every family and with
   settings of members; so they are when activations are recomputed.
2. The number of graphs is bounded: one or two for all sizes in the ResNet
   family, and for others one for each of torch's few sizes, after which a
   member runs as it is.
3. Names of weights do not change; copies, averages and pickles work, before
   and after the first call.
4. What torch does not know is refused in one sentence.
"""

import copy
import pickle

import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from torch._dynamo.utils import counters

from cbnet.testing import TINY_MEMBERS, build_model, tiny_composite

EAGER = dict(backend='eager')
FROZEN = dict(
    type='Member',
    backbone=TINY_MEMBERS['timm_convnext'],
    frozen=True,
    scale=0.5,
    dtype='bfloat16',
)
SMALL_SWIN = dict(TINY_MEMBERS['swin'], depths=(2, 1, 1, 1))
CASES = {
    'resnet': tiny_composite('resnet'),
    'swin': dict(tiny_composite(), member=SMALL_SWIN),
    'hooked': tiny_composite('timm_vit', shared_stages=None),
    'settled': dict(
        tiny_composite('resnet', shared_stages=None),
        member=[FROZEN, TINY_MEMBERS['resnet']],
    ),
    'recomputing': tiny_composite('resnet', with_cp=True),
    'recomputing blocks': dict(
        tiny_composite(), member=dict(SMALL_SWIN, with_cp=True)
    ),
}


def pair(cfg, **options):
    torch._dynamo.reset()
    counters.clear()
    plain = build_model(cfg)
    compiled = build_model(dict(cfg, compile=dict(EAGER, **options)))
    torch.manual_seed(0)
    for p in plain.connections.parameters():
        p.data = torch.randn_like(p) * 0.1
    compiled.load_state_dict(plain.state_dict())
    return plain.train(), compiled.train()


def assert_same(plain, compiled, size, all_members=True):
    image, found = torch.randn(1, 3, *size), []
    for net in (plain, compiled):
        net.zero_grad()
        pyramids = net(image, all_members=all_members)
        flat = sum(pyramids, ()) if all_members else pyramids
        if net.training:
            sum(y.square().sum() for y in flat).backward()
        grads = [p.grad for p in net.parameters()]
        found.append([*flat, *grads, *net.buffers()])
    for a, b in zip(*found, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            a, b = a.float(), b.float()
            scale = max(a.abs().max().item(), 1.0)
            torch.testing.assert_close(a, b, rtol=0, atol=1e-4 * scale)


def graphs():
    return counters['stats']['unique_graphs']


@pytest.mark.parametrize('case', CASES)
def test_it_computes_the_same(case):
    # The second one also traces the backward pass.
    backend = 'aot_eager' if case == 'swin' else 'eager'
    plain, compiled = pair(CASES[case], backend=backend)
    assert list(plain.state_dict()) == list(compiled.state_dict())
    assert_same(plain, compiled, (64, 96))
    assert graphs() >= 2 and not counters['graph_break']


def test_one_graph_for_all_sizes():
    plain, compiled = pair(CASES['resnet'])
    for size in [(64, 96), (96, 64), (128, 160)]:
        assert_same(plain, compiled, size)
    assert graphs() <= 2 * plain.num_members


def test_a_few_sizes_have_graphs():
    plain, compiled = pair(CASES['swin'])
    with torch._dynamo.config.patch(recompile_limit=2):
        for size in [(32, 64), (64, 32), (32, 96)]:
            assert_same(plain.eval(), compiled.eval(), size)
    assert graphs() == 2 * plain.num_members


def test_copies_averages_and_pickles():
    plain, compiled = pair(dict(CASES['swin'], num_members=1))
    size = (64, 64)
    early = copy.deepcopy(compiled)
    assert_same(plain, compiled, size)
    average = ExponentialMovingAverage(compiled, momentum=0.5)
    pickled = pickle.loads(pickle.dumps(compiled))  # noqa: S301
    made = [early, average.module, copy.deepcopy(compiled), pickled]
    for one in made:
        one.load_state_dict(plain.state_dict())
        assert list(one.state_dict()) == list(plain.state_dict())
        assert '_compiled' not in vars(one) and one.compiles
    assert_same(plain.eval(), made[-1].eval(), size)
    assert made[-1]._compiled[0] is not compiled._compiled[0]


@pytest.mark.parametrize(
    ('compile', 'words'),
    [
        (dict(backend='inductr'), "backend='inductr'; .*did you mean 'induct"),
        (dict(backnd='eager'), "'backnd'.*'backend'"),
        (dict(dynamic='yes'), "dynamic='yes'; expected"),
        ('yes', "compile='yes'; expected"),
    ],
)
def test_what_is_refused(compile, words):
    with pytest.raises((ValueError, TypeError), match=words):
        build_model(tiny_composite(compile=compile))
