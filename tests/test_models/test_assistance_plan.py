"""When assistants are supervised, how strongly, and by which losses.

1. Weights follow their schedule from the first step to the last, also in a
   run that is resumed; `every` skips steps, whose cost and losses are those of
   the plain detector.
2. Only the named losses remain; each assistant may have its own options.
3. What does not fit, or names nothing, is one sentence.
"""

import math

import pytest
from mmengine.logging import MessageHub

from cbnet.models.detectors.plan import Plan

from .detector_pairs import assert_equal, losses_of, make_pair


@pytest.fixture
def at_step(request):
    """Publish a training step, as mmengine's runner does."""
    hub = MessageHub.get_instance(request.node.name)

    def publish(step, last=10):
        hub.update_info_dict({'iter': step, 'max_iters': last})

    return publish


HALF = 0.5 * (1 + math.cos(math.pi * 0.3)) / 2


@pytest.mark.parametrize(
    ('options', 'step', 'expected'),
    [
        ({}, 7, 0.5),
        (dict(schedule='linear'), 0, 0.5),
        (dict(schedule='linear'), 3, 0.35),
        (dict(schedule='linear'), 9, 0.05),
        (dict(schedule='cosine'), 0, 0.5),
        (dict(schedule='cosine'), 3, HALF),
        (dict(schedule='cosine'), 5, 0.25),
        (dict(schedule='cosine'), 12, 0.0),  # resumed, beyond its old end
        (dict(every=3), 0, 0.5),
        (dict(every=3), 2, 0.0),
        (dict(every=3), 3, 0.5),
        (dict(every=3, schedule='cosine'), 3, HALF),
        (dict(every=3, schedule='cosine'), 4, 0.0),
    ],
)
def test_weights_in_time(options, step, expected, at_step):
    at_step(step)
    assert Plan(0.5, **options).weight_now() == pytest.approx(expected)
    assert Plan(0.0, **options).weight_now() == 0


def test_each_assistant_has_its_steps(at_step):
    plain, model = make_pair(
        'RetinaNet', 3, weights=1, every=[1, 2], schedule=['linear', 'cosine']
    )
    at_step(0)
    full = losses_of(model)
    at_step(5)
    found = losses_of(model)
    names = {name for name in full if not name.startswith('assist1.')}
    assert set(found) == names < set(full)
    for name in names:
        factor = 0.5 if name.startswith('assist') else 1.0
        assert_equal(found[name], [factor * value for value in full[name]])


def test_a_step_without_assistants_is_that_of_the_plain_detector(at_step):
    plain, model = make_pair('FasterRCNN', every=2)
    calls = []
    model.backbone.register_forward_hook(
        lambda module, args, kwargs, y: calls.append((kwargs, y)),
        with_kwargs=True,
    )
    at_step(1)
    expected, found = losses_of(plain), losses_of(model)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert_equal(found[name], value)
    assert len(calls) == 1 and not calls[0][0]


@pytest.mark.parametrize(
    ('losses', 'expected'),
    [
        (['loss_rpn*'], [{'loss_rpn_cls', 'loss_rpn_bbox'}] * 2),
        (['loss_cls', '*rpn_bb?x'], [{'loss_cls', 'loss_rpn_bbox'}] * 2),
        ([['loss_cls'], ['*rpn_cls']], [{'loss_cls'}, {'loss_rpn_cls'}]),
        ([['loss_cls'], None], [{'loss_cls'}, None]),
    ],
)
def test_only_some_losses(losses, expected):
    _, model = make_pair('FasterRCNN', 3, losses=losses)
    _, full = make_pair('FasterRCNN', 3)
    full.load_state_dict(model.state_dict())
    found, every = losses_of(model), losses_of(full)
    for i, names in enumerate(expected):
        start = f'assist{i}.'
        kept = {n.removeprefix(start) for n in found if n.startswith(start)}
        assert kept == (names or {n for n in every if '.' not in n})
    for name, value in found.items():
        assert_equal(value, every[name])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(schedule='cos'), "schedule='cos'.*did you mean 'cosine'"),
        (dict(schedule=['linear', 1]), 'schedule='),
        (
            dict(schedule=['linear'] * 2),
            'expected one schedule for each of the 1 assistants',
        ),
        (dict(every=0), 'every=0; expected a whole number from 1'),
        (dict(every=1.5), 'every=1.5; expected a whole number'),
        (dict(every=[1, 2]), r'every=\[1, 2\] does not fit .*num_members=2'),
        (dict(losses='loss_cls'), "losses='loss_cls'; expected a list of st"),
        (dict(losses=[]), r'losses=\[\] leaves no loss'),
        (dict(losses=[[]]), r'losses=\[\] leaves no loss'),
        (dict(losses=[None, None]), 'one list of losses for each of the 1'),
        (dict(losses=['loss_cls', 1]), 'losses=.*; expected'),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make_pair('FasterRCNN', **options)


def test_a_pattern_that_names_no_loss():
    _, model = make_pair('FasterRCNN', losses=['loss_cls', 'loss_rpn_box'])
    message = (
        "assistance.losses names 'loss_rpn_box', but the losses of this "
        "detector are loss_rpn_cls, .*; did you mean 'loss_rpn_bbox'"
    )
    with pytest.raises(ValueError, match=message):
        losses_of(model)


def test_nobody_publishes_the_step():
    MessageHub.get_instance('a new one')
    _, model = make_pair('RetinaNet', schedule='linear')
    with pytest.raises(ValueError, match="nothing has published 'iter'"):
        losses_of(model)
