"""The learning rate of a migrated config is the published one at every step.

For every policy of mmcv 1.x, counted in epochs and in iterations, under both
runners, with each warm-up: the schedulers that are written are run, and
compared with the formulas of mmcv 1.x. The policy and the warm-up may be an
iteration ahead, because mmengine's schedulers end a step earlier.
"""

import math
from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope

from cbnet.migration.learning_rate import convert_learning_rate
from cbnet.migration.section import Section, State

EPOCHS, LENGTH, BASE = 6, 20, 0.1
ITERATIONS = EPOCHS * LENGTH
ONE_CYCLE = dict(max_lr=0.5, pct_start=0.25)


def cos(start, end, part):
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def step(at, total, steps=(2, 5), gamma=0.1):
    return BASE * gamma ** sum(at >= s for s in steps)


def one_cycle(at, total, up=0.25, highest=0.5):
    turn, low = up * total - 1, highest / 25
    if at <= turn:
        return cos(low, highest, at / turn)
    return cos(highest, low / 1e4, (at - turn) / (total - 1 - turn))


def cyclic(at, total, up=0.4, ratios=(10, 1e-4)):
    turn = int(up * total)
    if at < turn:
        return cos(BASE, BASE * ratios[0], at / turn)
    part = (at - turn) / (total - turn)
    return cos(BASE * ratios[0], BASE * ratios[1], part)


def flat_cosine(at, total):
    start = round(total * 0.75)
    part = max(at - start, 0) / (total - start)
    return cos(BASE, 0.001, part)


def restarts(at, total):
    half = total // 2
    return cos(BASE * (1 if at < half else 0.5), 0, at % half / half)


# policy -> its settings, and the rate after ``at`` of ``total`` steps
POLICIES = {
    'fixed': ({}, lambda at, total: BASE),
    'step': (dict(step=[2, 5]), step),
    'Step': (
        dict(step=2, gamma=0.5),
        lambda at, total: BASE * 0.5 ** (at // 2),
    ),
    'exp': (dict(gamma=0.9), lambda at, total: BASE * 0.9**at),
    'poly': (
        dict(power=0.9, min_lr=0.0001),
        lambda at, total: (BASE - 0.0001) * (1 - at / total) ** 0.9 + 0.0001,
    ),
    'Poly': (
        {},
        lambda at, total: BASE * (1 - at / total),
    ),
    'CosineAnnealing': (
        dict(min_lr_ratio=0.001),
        lambda at, total: cos(BASE, BASE * 0.001, at / total),
    ),
    'FlatCosineAnnealing': (dict(min_lr=0.001), flat_cosine),
    'CosineRestart': (
        dict(periods=[3, 3], restart_weights=[1, 0.5], min_lr=0),
        restarts,
    ),
}
IN_ITERATIONS = {
    'cyclic': (dict(target_ratio=(10, 1e-4)), cyclic),
    'OneCycle': (ONE_CYCLE, one_cycle),
}
WARMUPS = {
    None: lambda part: 1,
    'linear': lambda part: 0.01 + 0.99 * part,
    'constant': lambda part: 0.01,
    'exp': lambda part: 0.01 ** (1 - part),
}
WARM = 8


def migrated(lr_config, by_epoch):
    """Convert ``lr_config`` under a runner; give the rate of each step."""
    length = EPOCHS if by_epoch else ITERATIONS
    state = State(by_epoch=by_epoch, length=length)
    top = Section(dict(lr_config=lr_config), '', state)
    configs = convert_learning_rate(top.section('lr_config'))
    top.close()
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=BASE)
    with DefaultScope.overwrite_default_scope('mmdet'):
        schedulers = [
            PARAM_SCHEDULERS.build(cfg, default_args=dict(optimizer=optimizer))
            if not cfg.get('convert_to_iter_based')
            else PARAM_SCHEDULERS.build(
                cfg,
                default_args=dict(optimizer=optimizer, epoch_length=LENGTH),
            )
            for cfg in configs
        ]
    rates = []
    for at in range(1, ITERATIONS + 1):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for one in schedulers:
            # A runner of iterations has no epoch, see ParamSchedulerHook.
            if not one.by_epoch or (by_epoch and at % LENGTH == 0):
                one.step()
    return SimpleNamespace(rates=rates, configs=configs, report=state.report)


def published(rate, counts_epochs, warmup, warm=WARM):
    """Give the least and the highest rate that each iteration may have."""
    total = EPOCHS if counts_epochs else ITERATIONS
    ranges = []
    for at in range(ITERATIONS):
        rates = [
            rate(n // LENGTH if counts_epochs else n, total)
            for n in (at, at + 1)
        ]
        factors = [
            WARMUPS[warmup](n / warm) if n < warm else 1 for n in (at, at + 1)
        ]
        every = [one * factor for one in rates for factor in factors]
        ranges.append((min(every) * 0.995, max(every) * 1.005))
    return ranges


CASES = [
    (policy, under, counts)
    for policy in POLICIES
    for under, counts in ((True, True), (True, False), (False, False))
]
CASES = [(*case, warmup) for case in CASES for warmup in WARMUPS]
CASES += [(p, under, False, None) for p in IN_ITERATIONS for under in (1, 0)]


@pytest.mark.parametrize(
    ('policy', 'by_epoch', 'counts_epochs', 'warmup'), CASES
)
def test_every_step(policy, by_epoch, counts_epochs, warmup):
    settings, rate = (POLICIES | IN_ITERATIONS)[policy]
    lr_config = dict(settings, policy=policy, warmup=warmup, warmup_ratio=0.01)
    if warmup:
        lr_config['warmup_iters'] = WARM
    if policy not in IN_ITERATIONS:
        lr_config['by_epoch'] = counts_epochs
    if policy == 'CosineRestart' and not counts_epochs:
        lr_config['periods'] = [ITERATIONS // 2] * 2
    found = migrated(lr_config, bool(by_epoch))
    assert found.report == []
    for at, (low, high) in enumerate(published(rate, counts_epochs, warmup)):
        assert low <= found.rates[at] <= high, at


@pytest.mark.parametrize('by_epoch', [True, False])
@pytest.mark.parametrize(
    ('lr_config', 'reported'),
    [
        (dict(policy='inv', gamma=0.1), "lr_config.policy: 'Inv' is left"),
        (dict(policy='cyclic', cyclic_times=2), "lr_config.policy: 'Cyclic'"),
        (
            dict(policy='step', step=[2], min_lr=0.01),
            'lr_config.min_lr=0.01: left out',
        ),
        (
            dict(policy='OneCycle', **ONE_CYCLE, warmup='linear'),
            "lr_config.warmup: left out; the policy 'OneCycle' has",
        ),
        (
            dict(policy='fixed', warmup='sine', warmup_iters=3),
            "lr_config.warmup: 'sine' is left out",
        ),
    ],
)
def test_what_has_no_counterpart_is_reported(lr_config, reported, by_epoch):
    report = migrated(lr_config, by_epoch).report
    assert any(line.startswith(reported) for line in report), report


def test_epochs_under_a_runner_of_iterations():
    found = migrated(dict(policy='step', step=[2], by_epoch=True), False)
    assert found.configs == []
    assert found.report[0].startswith("lr_config.by_epoch: the policy 'Step'")


def test_warm_up_in_epochs():
    found = migrated(
        dict(
            policy='fixed',
            warmup='linear',
            warmup_iters=2,
            warmup_by_epoch=True,
            warmup_ratio=0.01,
        ),
        True,
    )
    _, constant = POLICIES['fixed']
    expected = published(constant, True, 'linear', 2 * LENGTH)
    for rate, (low, high) in zip(found.rates, expected, strict=True):
        assert low <= rate <= high
