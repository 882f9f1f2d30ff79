"""The fast way of Swin members computes what mmdet's own does.

1. One member equals its backbone, maps and gradients, those of the position
   tables among them: any size and batch, frozen stages, checkpointing of
   blocks and stages, no bias of qkv, other windows, float64, autocast, drop
   path, dropout.
2. Off, it is mmdet's code, bit for bit; off and on again, names of weights,
   parameters and classes are as before.  ``'assistants'`` leaves the lead.
3. What is looked up is bounded, and never taken from another size, type,
   device or mode; copies and pickles compute the same.
4. Where mmdet's code does more than attend, mmdet's code runs.
"""

import copy
import pickle

import pytest
import torch
from mmdet.models.backbones import SwinTransformer
from mmdet.models.backbones.swin import ShiftWindowMSA
from torch.utils.flop_counter import FlopCounterMode

from cbnet.models.members import window_places
from cbnet.models.members.fast_swin import FastShiftWindowMSA, _ToWindows
from cbnet.models.members.window_places import find_places
from cbnet.testing import TINY_MEMBERS, build_model

SWIN = TINY_MEMBERS['swin']
SIZES = [(64, 96), (97, 131), (33, 40)]


def pair(member=(), **options):
    """Build a backbone of mmdet, and a fast composite of it alone."""
    cfg = dict(SWIN, **dict(member))
    plain = build_model(cfg)
    torch.manual_seed(1)
    for p in plain.parameters():
        p.data = torch.randn_like(p) * 0.2
    fast = build_model(
        dict(type='CompositeBackbone', member=cfg, num_members=1, **options)
    )
    fast.members[0].load_state_dict(plain.state_dict())
    return plain, fast


def computed(net, image, training=True):
    """Compute the maps and, in training, the gradients by name."""
    net.train(training)
    net.zero_grad()
    torch.manual_seed(0)
    maps = net(image)
    if training:
        sum(y.square().sum() for y in maps).backward()
    return list(maps), [p.grad for p in net.parameters()]


def assert_same(plain, fast, image, tolerance=1e-5, training=True):
    expected, found = (computed(n, image, training) for n in (plain, fast))
    for a, b in zip(expected[0], found[0], strict=True):
        torch.testing.assert_close(b, a, rtol=0, atol=tolerance)
    for a, b in zip(expected[1], found[1], strict=True):
        assert (a is None) == (b is None)
        if a is not None:  # sums over all tokens, which may cancel
            largest = a.abs().max().item()
            torch.testing.assert_close(
                b, a, rtol=0, atol=20 * tolerance * largest
            )
    return expected, found


def fast_blocks(net):
    return [m for m in net.modules() if isinstance(m, FastShiftWindowMSA)]


CASES = {
    'plain': {},
    'checkpointed blocks': dict(with_cp=True),
    'no bias': dict(qkv_bias=False),
    'windows of 7': dict(window_size=7),
    'scale': dict(qk_scale=0.3),
    'frozen': dict(frozen_stages=2),
    'drop path': dict(drop_path_rate=0.4),
    'dropout': dict(drop_rate=0.3),
    'dropout of the attention': dict(attn_drop_rate=0.3),
    'positions': dict(use_abs_pos_embed=True, pretrain_img_size=(64, 96)),
    'no norms of patches': dict(patch_norm=False),
    'one stage': dict(out_indices=(3,)),
}


@pytest.mark.parametrize('case', CASES)
def test_it_equals_mmdets(case):
    plain, fast = pair(CASES[case])
    assert len(fast_blocks(fast)) == 6
    for size in SIZES[:1] if case == 'positions' else SIZES:
        image = torch.randn(2, 3, *size)
        _, (_, gradients) = assert_same(plain, fast, image)
        with torch.no_grad():  # another kernel
            assert_same(plain, fast, image, training=False)
        tables = [
            gradient
            for (name, _), gradient in zip(
                fast.named_parameters(), gradients, strict=True
            )
            if name.endswith('bias_table') and gradient is not None
        ]
        dropped = case == 'drop path'  # of whole blocks
        assert tables and all(table.any() or dropped for table in tables)


@pytest.mark.parametrize('options', [dict(with_cp=True), {}])
def test_float64(options):
    plain, fast = pair(**options)
    image = torch.randn(1, 3, 97, 131).double()
    assert_same(plain.double(), fast.double(), image, 1e-11)


@pytest.mark.parametrize('training', [True, False])
def test_autocast(training):
    plain, fast = pair()
    image = torch.randn(1, 3, 97, 131)
    exact = [y.detach() for y in computed(plain, image, False)[0]]
    with torch.autocast('cpu', torch.bfloat16):
        grad = torch.set_grad_enabled(training)
        with grad:
            maps = [computed(n, image, False)[0] for n in (plain, fast)]
    for truth, a, b in zip(exact, *maps, strict=True):
        error, ours = ((y.float() - truth).norm() for y in (a, b))
        assert ours < 1.3 * error + 1e-3 * truth.norm()


@pytest.mark.parametrize('size', SIZES)
def test_off_it_is_mmdets_code(size):
    plain, fast = pair(fast=False)
    assert not fast_blocks(fast)
    image = torch.randn(2, 3, *size)
    for a, b in zip(*(computed(n, image) for n in (plain, fast)), strict=True):
        assert all(map(torch.equal, a, b))


def test_switching_changes_classes_alone():
    plain, fast = pair()
    (adapter,) = fast.adapters
    names, before = list(plain.state_dict()), dict(fast.named_parameters())
    assert list(fast.members[0].state_dict()) == names and adapter.fast
    adapter.fast = False
    kinds = [type(m) for m in plain.modules()]
    assert [type(m) for m in fast.members[0].modules()] == kinds
    adapter.fast = True
    after = dict(fast.named_parameters())
    assert len(fast_blocks(fast)) == 6
    assert all(after[name] is p for name, p in before.items())


def test_the_lead_can_be_left_alone():
    cfg = dict(type='CompositeBackbone', member=SWIN, num_members=3)
    speeds = {
        fast: [a.fast for a in build_model(cfg | dict(fast=fast)).adapters]
        for fast in (True, False, 'assistants')
    }
    assert speeds == {
        True: [True] * 3,
        False: [False] * 3,
        'assistants': [True, True, False],
    }


def test_copies_and_pickles():
    _, fast = pair()
    image = torch.randn(1, 3, 64, 64)
    expected = computed(fast, image)
    pickled = pickle.loads(pickle.dumps(fast))  # noqa: S301
    for made in (copy.deepcopy(fast), pickled):
        assert len(fast_blocks(made)) == 6
        for a, b in zip(expected, computed(made, image), strict=True):
            assert all(map(torch.equal, a, b))


def test_the_bias_is_never_stale():
    plain, fast = pair()
    image = torch.randn(1, 3, 64, 64)
    for _ in range(2):
        with torch.no_grad():
            assert_same(plain, fast, image, training=False)
            for net in (plain, fast):
                torch.manual_seed(3)
                for p in net.parameters():  # as load_state_dict and EMA do
                    p.copy_(torch.randn_like(p) * 0.2)


def test_inference_mode_before_training(monkeypatch):
    monkeypatch.setattr(window_places, '_kept', type(window_places._kept)())
    plain, fast = pair()
    image = torch.randn(1, 3, 71, 64)
    with torch.inference_mode():
        fast.eval()(image)
    assert window_places._kept
    assert_same(plain, fast, image)


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(window_places, '_MOST', 5)
    device, size = torch.device('cpu'), (1, 8, 9)
    first = find_places(size, 4, 2, device)
    assert find_places(size, 4, 2, device) is first  # shared by all blocks
    for height in range(1, 20):
        find_places((1, height, 3), 4, 2, device)
        assert len(window_places._kept) <= 5
    again = find_places(size, 4, 2, device)
    assert again is not first
    assert all(map(torch.equal, again[:3], first[:3]))


@pytest.mark.parametrize('shift', [0, 1, 3])
@pytest.mark.parametrize('size', [(1, 4, 4), (2, 5, 9), (3, 1, 2)])
def test_every_token_has_one_place(size, shift):
    there, back, padding, grid = find_places(
        size, 4, shift, torch.device('cpu')
    )
    tokens = size[0] * size[1] * size[2]
    assert torch.equal(there[back], torch.arange(tokens).int())
    assert (
        len(padding) + tokens == len(there) == size[0] * 16 * grid[0] * grid[1]
    )
    assert not set(padding.tolist()) & set(back.tolist())


def test_gradients_of_gradients():
    places = find_places((2, 5, 3), 4, 2, torch.device('cpu'))
    tokens = torch.randn(30, 2, dtype=torch.double, requires_grad=True)
    filler = torch.randn(2, dtype=torch.double, requires_grad=True)
    move = lambda *both: _ToWindows.apply(*both, places) ** 2  # noqa: E731
    assert torch.autograd.gradcheck(move, (tokens, filler))
    assert torch.autograd.gradgradcheck(move, (tokens, filler))


def test_a_block_of_another_class_is_left_alone():
    class Other(ShiftWindowMSA):
        pass

    net = SwinTransformer(**{k: v for k, v in SWIN.items() if k != 'type'})
    net.stages[0].blocks[0].attn.__class__ = Other
    net.stages[1].blocks[0].attn.w_msa.qkv.__class__ = type(
        'Adapted', (torch.nn.Linear,), {}
    )
    cfg = dict(type='CompositeBackbone', member=[net], num_members=1)
    model = build_model(cfg)
    assert len(fast_blocks(model)) == 5
    plain, _ = pair()
    plain.load_state_dict(net.state_dict())
    assert_same(plain, model, torch.randn(1, 3, 64, 64), training=False)


def test_hooks_inside_of_the_attention_are_called():
    plain, fast = pair()
    seen = []
    attention = fast.members[0].stages[0].blocks[0].attn.w_msa
    attention.register_forward_hook(lambda *found: seen.append(found[2].shape))
    assert_same(plain, fast, torch.randn(1, 3, 64, 64), training=False)
    assert seen == [(16, 16, 8)]


def test_costs_are_counted_as_published():
    counts = []
    for net in pair():
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            net.to('meta')(torch.randn(1, 3, 64, 128, device='meta'))
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0
