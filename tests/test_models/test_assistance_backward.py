"""``assistance.backward='per_member'``: the same gradients, in less memory.

1. losses are those of ``'together'`` to the last bit, gradients to 1e-6, for
   two and three members, frozen ones, one- and two-stage detectors, and
   detectors that ask their backbone twice;
2. at most one member's activations of neck and heads are alive at a time;
3. training steps are the same with accumulation and clipping, with a loss
   scale in float16, in which small gradients do not vanish, and under DDP,
   which reduces every parameter once, and nothing inside ``no_sync``;
4. what cannot work is refused: FSDP, learned proposals, losses that are
   weighed apart, a second backward pass;
5. the RPN selects proposals only in the passes that use its own.
"""

import weakref
from collections import Counter

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from cbnet.engine import CpuAmpOptimWrapper
from cbnet.models.detectors.head_scale import HeadScale
from cbnet.testing import make_batch, tiny_composite, tiny_detector

from .detector_pairs import (
    BASES,
    TWO_STAGE,
    assisted_retinanet,
    losses_of,
    make_pair,
    open_connections,
    pair_of,
)
from .served_detectors import Twin
from .test_assistance import AsksTwice

BATCH = dict(boxes_per_image=(3, 4), size=(128, 128))


def both(base, num_members=2, **options):
    """The same assisted detector, with each kind of backward pass."""
    _, together = make_pair(base, num_members, **options)
    return together, per_member(together, base, num_members, **options)


def per_member(together, base, num_members=2, **options):
    _, model = make_pair(base, num_members, backward='per_member', **options)
    model.load_state_dict(together.state_dict())
    return model


def gradients(model, factor=1.0):
    total, logged = model.parse_losses(losses_of(model, make_batch(**BATCH)))
    (total * factor).backward()
    found = {
        name: p.grad for name, p in model.named_parameters() if p.requires_grad
    }
    return logged, found


def assert_same_steps(together, model, factor=1.0):
    logged, expected = gradients(together, factor)
    other, found = gradients(model, factor)
    assert list(other) == list(logged)
    for name, value in logged.items():
        assert torch.equal(other[name], value), name
    largest = max(g.abs().max() for g in expected.values() if g is not None)
    assert expected.keys() == found.keys() and largest > 0
    for name, gradient in expected.items():
        if gradient is None:
            assert found[name] is None
            continue
        difference = (found[name] - gradient).abs().max() / largest
        assert difference < 1e-6, name


@pytest.mark.parametrize('base', BASES)
def test_the_same_losses_and_gradients(base):
    assert_same_steps(*both(base, 3))


def test_the_same_to_the_precision_of_the_type():
    models = [m.double() for m in both('MaskRCNN', proposals='own')]
    _, expected = gradients(models[0], 0.25)
    _, found = gradients(models[1], 0.25)
    for name, gradient in expected.items():
        torch.testing.assert_close(
            found[name], gradient, rtol=1e-9, atol=1e-14, msg=name
        )


def test_selected_losses_and_weights_of_zero():
    options = dict(weights=[0.3, 0.0], losses=['loss_rpn*'])
    assert_same_steps(*both('FasterRCNN', 3, **options))
    assert_same_steps(*both('RetinaNet', weights=0))


def test_a_frozen_assistant():
    member = dict(type='Member', backbone=tiny_composite()['member'])
    frozen = dict(member, frozen=True)
    cfg = tiny_detector('RetinaNet', tiny_composite(member='resnet'))
    cfg['backbone'].update(member=[frozen, member], shared_stages=None)
    together, model = (
        pair_of(cfg, weights=1, backward=backward)[1]
        for backward in ('together', 'per_member')
    )
    model.load_state_dict(together.state_dict())
    assert_same_steps(together, model)


def test_a_detector_that_asks_its_backbone_twice():
    together = assisted_retinanet(AsksTwice)
    model = assisted_retinanet(AsksTwice, backward='per_member')
    open_connections(together)
    model.load_state_dict(together.state_dict())
    assert_same_steps(together, model)


def test_losses_without_gradients():
    """As in a validation that computes losses."""
    together, model = both('MaskRCNN')
    with torch.no_grad():
        expected, found = (
            m.parse_losses(losses_of(m))[1] for m in (together, model)
        )
    assert expected == found


class Alive:
    """The bytes that autograd keeps, now and at most."""

    def __init__(self):
        self.references, self.now, self.most = Counter(), 0, 0

    def pack(self, tensor):
        class Kept:
            value = tensor

        kept, storage = Kept(), tensor.untyped_storage()
        key, size = storage.data_ptr(), storage.nbytes()
        if self.references[key] == 0:
            self.now += size
            self.most = max(self.most, self.now)
        self.references[key] += 1
        kept.value = tensor
        weakref.finalize(kept, self.free, key, size)
        return kept

    def free(self, key, size):
        self.references[key] -= 1
        if self.references[key] == 0:
            self.now -= size


def most_kept(model):
    alive = Alive()
    with torch.autograd.graph.saved_tensors_hooks(
        alive.pack, lambda kept: kept.value
    ):
        total, _ = model.parse_losses(losses_of(model, make_batch(**BATCH)))
        total.backward()
    del total
    assert alive.now == 0
    return alive.most


@pytest.mark.parametrize('base', ['MaskRCNN', 'RetinaNet'])
def test_the_activations_of_one_member_at_a_time(base):
    single = most_kept(make_pair(base, 3, weights=0)[1])
    together, model = both(base, 3)
    most, least = most_kept(together), most_kept(model)
    # The heads of three members, or of one.
    assert least < single + 0.1 * (most - single)


@pytest.mark.parametrize('wrapper', [OptimWrapper, CpuAmpOptimWrapper])
def test_steps_with_accumulation_and_clipping(wrapper):
    weights = []
    for model in both('MaskRCNN'):
        optimizer = wrapper(
            torch.optim.SGD(model.parameters(), lr=0.02),
            accumulative_counts=2,
            clip_grad=dict(max_norm=1.0),
        )
        optimizer.initialize_count_status(model, 0, 4)
        model.train()
        for step in range(4):
            torch.manual_seed(step)
            model.train_step(make_batch(**BATCH, seed=step), optimizer)
        weights.append({n: p.detach() for n, p in model.named_parameters()})
    for name, expected in weights[0].items():
        # In bfloat16, a head adds the gradients of its passes in float32,
        # where the one backward pass adds some of them in bfloat16.
        torch.testing.assert_close(
            weights[1][name],
            expected,
            **dict(rtol=0, atol=1e-6 if wrapper is OptimWrapper else 1e-3),
            msg=name,
        )


def half_gradients(model, scale=2.0**16):
    """Gradients of a step in float16 with a scaled loss, unscaled."""
    with torch.autocast('cpu', torch.float16):
        losses = losses_of(model, make_batch(**BATCH))
        total, _ = model.parse_losses(losses)
    (total * scale).backward()
    return torch.cat(
        [
            p.grad.flatten() / scale
            for p in model.parameters()
            if p.grad is not None
        ]
    )


def test_a_loss_scale_in_float16():
    together, model = both('RetinaNet')
    expected, found = half_gradients(together), half_gradients(model)
    assert (found - expected).norm() < 0.02 * expected.norm()
    # Too large a factor is tried again with a half of it, and remembered.
    model.zero_grad()
    model.head_scale.factor = 2.0**40
    again = half_gradients(model)
    assert 1 < model.head_scale.factor < 2.0**40
    assert (again - expected).norm() < 0.02 * expected.norm()


def test_small_gradients_do_not_vanish_in_float16():
    x = torch.full((4,), 1e-6, requires_grad=True)
    with torch.autocast('cpu', torch.float16):
        weight = torch.ones(4, 4)
        total = (weight @ x.half()).float().mul(1e-8).sum()
        (found,), factor = HeadScale().gradients(total, [x])
    assert factor == 2.0**16 and found.gt(0).all()
    assert (
        torch.autograd.grad(
            (torch.ones(4, 4).half() @ x.half()).float().mul(1e-8).sum(), x
        )[0]
        .eq(0)
        .all()
    )


def test_a_loss_that_is_not_finite_keeps_the_factor():
    scale, x = HeadScale(), torch.ones(1, requires_grad=True)
    for total in (x.sum() * float('nan'), (x.half() * 6e4).sum().exp() * 1e30):
        with torch.autocast('cpu', torch.float16):
            found, factor = scale.gradients(total, [x])
        assert factor == 1 and not found[0].isfinite().all()
    assert scale.factor == 2.0**16


def test_the_factor_grows_after_many_steps():
    scale, x = HeadScale(), torch.ones(1, requires_grad=True)
    with torch.autocast('cpu', torch.float16):
        for _ in range(2000):
            assert scale.gradients((x * 1).sum(), [x])[1] == 2.0**16
        assert scale.gradients((x * 1).sum(), [x])[1] == 2.0**17


@pytest.fixture
def group():
    torch.distributed.init_process_group(
        'gloo', store=torch.distributed.HashStore(), rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize('base', ['FasterRCNN', 'RetinaNet'])
def test_ddp_reduces_every_parameter_once(base, group):
    together, model = both(base)
    reduced = Counter()

    def count(_, bucket):
        reduced.update(map(id, bucket.parameters()))
        future = torch.futures.Future()
        future.set_result(bucket.buffer())
        return future

    ddp = DistributedDataParallel(model, find_unused_parameters=False)
    ddp.register_comm_hook(None, count)
    model.train()

    def step():
        batch = model.data_preprocessor(make_batch(**BATCH), training=True)
        torch.manual_seed(0)
        model.parse_losses(ddp(**batch, mode='loss'))[0].backward()

    with ddp.no_sync():
        step()
    assert not reduced
    step()
    trained = [p for p in model.parameters() if p.requires_grad]
    assert reduced == Counter(map(id, trained))
    _, single = gradients(together)
    for name, p in model.named_parameters():
        if p.requires_grad:
            torch.testing.assert_close(
                p.grad, 2 * single[name], rtol=1e-4, atol=1e-6, msg=name
            )


def test_fsdp_is_refused(group):
    model = both('RetinaNet')[1]
    fully_shard(model.neck)
    with pytest.raises(TypeError, match='FSDP shards those of AssistedRetin'):
        losses_of(model)


def test_fsdp_around_the_detector_is_refused():
    """Its older kind needs a GPU; it marks the modules that it shards."""
    model = both('RetinaNet')[1]
    model._is_fsdp_managed_module = True
    with pytest.raises(TypeError, match="backward='together', or DDP"):
        losses_of(model)


def test_learned_proposals_are_refused():
    name = 'sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py'
    twin = Twin(name)
    twin.assisted.head_scale = HeadScale()
    with pytest.raises(ValueError, match="are learned; .*proposals='own'"):
        twin.losses(twin.assisted)


def test_losses_that_are_weighed_apart_are_refused():
    model = both('RetinaNet')[1]
    losses = losses_of(model)
    with pytest.raises(ValueError, match=r'multiplies them by \[.*2.0.*\]'):
        (2 * losses['loss_cls'] + losses['loss_bbox']).backward()


def test_a_second_backward_pass_is_refused():
    model = both('RetinaNet')[1]
    total, _ = model.parse_losses(losses_of(model))
    total.backward(retain_graph=True)
    with pytest.raises(ValueError, match='is the second one'):
        total.backward()


@pytest.mark.parametrize('base', TWO_STAGE)
@pytest.mark.parametrize(('proposals', 'times'), [('lead', 1), ('own', 3)])
def test_proposals_are_selected_only_where_they_are_used(
    base, proposals, times, monkeypatch
):
    _, model = make_pair(base, 3, proposals=proposals)
    calls = Counter()
    for name in ('predict_by_feat', 'loss_by_feat'):
        method = getattr(model.rpn_head, name)

        def counted(*args, method=method, name=name, **kwargs):
            calls[name] += 1
            return method(*args, **kwargs)

        monkeypatch.setattr(model.rpn_head, name, counted)
    losses_of(model)
    assert calls == dict(predict_by_feat=times, loss_by_feat=3)
