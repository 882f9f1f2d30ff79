"""Convert ``lr_config`` to schedulers that give the same learning rates.

mmcv's hook computed each rate anew, from the number of past epochs or
iterations, and multiplied it by the factor of the warm-up. The schedulers of
mmengine change the rate of the step before, and warm up an iteration faster,
which is kept, as in the configs of mmdet 3.x.
"""

from typing import Any

from .section import Section, given

Schedulers = list[dict[str, Any]]

WARMUPS = ('linear', 'constant', 'exp')
# They have counted iterations, whatever the runner counts.
_IN_ITERATIONS = ('Cyclic', 'OneCycle')


def convert_learning_rate(config: Section) -> Schedulers:
    """Convert the policy and the warm-up of ``lr_config``."""
    state = config.state
    policy = str(config.take('policy'))
    # As in mmcv: 'step' is Step, and OneCycle stays.
    policy = policy.title() if policy.islower() else policy
    counts_epochs = state.by_epoch and policy not in _IN_ITERATIONS
    by_epoch = bool(config.take('by_epoch', counts_epochs))
    if policy == 'Fixed':
        return _warmup(config)
    if policy not in POLICIES:
        config.note('policy', f'{policy!r} is left out; see param_scheduler')
        return _warmup(config)
    if by_epoch and not state.by_epoch:
        config.note(
            'by_epoch',
            f'the policy {policy!r} counts epochs, which a runner of '
            f'iterations does not have in mmdet 3.x; it is left out',
        )
        return _warmup(config)
    schedulers = POLICIES[policy](config, by_epoch)
    if policy in _IN_ITERATIONS and config.take('warmup'):
        text = f'left out; the policy {policy!r} has a rise of its own'
        config.note('warmup', text)
        config.drop('warmup_iters', 'warmup_ratio', 'warmup_by_epoch')
    if policy == 'CosineRestart':  # it sets the first rate, warmed up or not
        return [*schedulers, *_warmup(config)]
    return [*_warmup(config), *schedulers]


def _span(config: Section, by_epoch: bool) -> dict[str, Any]:
    """Span the whole training; iterations of a number of epochs follow it."""
    state = config.state
    span = dict(by_epoch=state.by_epoch, begin=0, end=state.length)
    if state.by_epoch and not by_epoch:
        span['convert_to_iter_based'] = True
    return given(span)


def _open(config: Section, by_epoch: bool) -> dict[str, Any]:
    """Begin with the training; end with it if both count the same."""
    if by_epoch == config.state.by_epoch:
        return _span(config, by_epoch)
    return dict(by_epoch=by_epoch, begin=0)


def _step(config: Section, by_epoch: bool) -> Schedulers:
    steps = config.take('step')
    if isinstance(steps, int):
        new = dict(type='StepLR', step_size=steps)
    else:
        new = dict(type='MultiStepLR', milestones=list(steps))
    gamma = config.take('gamma', 0.1)
    return [new | _open(config, by_epoch) | dict(gamma=gamma)]


def _exp(config: Section, by_epoch: bool) -> Schedulers:
    gamma = config.take('gamma')
    return [dict(type='ExponentialLR', **_open(config, by_epoch), gamma=gamma)]


def _least(config: Section) -> dict[str, Any]:
    return config.keep(min_lr='eta_min', min_lr_ratio='eta_min_ratio')


def _cosine(config: Section, by_epoch: bool) -> Schedulers:
    span, length = _span(config, by_epoch), config.state.length
    cosine = dict(type='CosineAnnealingLR', **span, **_least(config))
    return [cosine | given(dict(T_max=length))]


def _flat_cosine(config: Section, by_epoch: bool) -> Schedulers:
    (cosine,) = _cosine(config, by_epoch)
    length, percent = config.state.length, config.take('start_percent', 0.75)
    if length is not None:
        start = length * percent
        if 'convert_to_iter_based' not in cosine:
            start = round(start)
        cosine.update(begin=start, T_max=length - start)
    return [cosine]


def _restarts(config: Section, by_epoch: bool) -> Schedulers:
    periods = list(config.take('periods'))
    weights = config.take('restart_weights', [1])
    restarts = dict(type='CosineRestartLR', periods=periods)
    return [
        restarts
        | _open(config, by_epoch)
        | dict(restart_weights=list(weights))
        | _least(config)
    ]


def _poly(config: Section, by_epoch: bool) -> Schedulers:
    poly = dict(type='PolyLR', **_span(config, by_epoch))
    if 'end' in poly and 'convert_to_iter_based' not in poly:
        poly['end'] += 1  # mmengine ends a step earlier: an epoch at rate 0
    return [poly | config.keep('power', min_lr='eta_min')]


def _cyclic(config: Section, by_epoch: bool) -> Schedulers:
    ratios = config.take('target_ratio', (10, 1e-4))
    up = config.take('step_ratio_up', 0.4)
    length, span = config.state.length, _span(config, by_epoch)
    config.drop('gamma')  # of the cycles after the first one
    if not isinstance(ratios, list | tuple):
        ratios = ratios, ratios / 1e5
    if len(ratios) == 1:
        ratios = ratios[0], ratios[0] / 1e5
    anneal = config.take('anneal_strategy', 'cos')
    if config.take('cyclic_times', 1) != 1 or anneal != 'cos':
        config.note('policy', "'Cyclic' is left out; see param_scheduler")
        return []
    if length is None:
        return []
    middle, last = up * length, 0
    if 'convert_to_iter_based' not in span:
        middle, last = int(middle), 1  # the second one begins at its end
    return [
        dict(type='CosineAnnealingLR', **span | turn)
        for turn in (
            dict(T_max=middle, end=middle + last, eta_min_ratio=ratios[0]),
            dict(T_max=length - middle, begin=middle, eta_min_ratio=ratios[1]),
        )
    ]


def _one_cycle(config: Section, by_epoch: bool) -> Schedulers:
    cycle = dict(type='OneCycleLR', **_span(config, by_epoch))
    cycle |= config.keep(
        'total_steps',
        'pct_start',
        'anneal_strategy',
        'div_factor',
        'final_div_factor',
        'three_phase',
        max_lr='eta_max',
    )
    if 'total_steps' in cycle:  # counts iterations, whatever the runner
        cycle.pop('convert_to_iter_based', None)
        cycle.update(by_epoch=False, end=cycle['total_steps'])
    return [cycle]


POLICIES = {
    'Step': _step,
    'Exp': _exp,
    'CosineAnnealing': _cosine,
    'FlatCosineAnnealing': _flat_cosine,
    'CosineRestart': _restarts,
    'Poly': _poly,
    'Cyclic': _cyclic,
    'OneCycle': _one_cycle,
}


def _warmup(config: Section) -> Schedulers:
    kind = config.take('warmup')
    length = config.take('warmup_iters', 0)
    ratio = config.take('warmup_ratio', 0.1)
    by_epoch = config.take('warmup_by_epoch', False)
    if kind is None or not length:
        return []
    if kind not in WARMUPS:
        config.note('warmup', f'{kind!r} is left out; see param_scheduler')
        return []
    span = dict(by_epoch=by_epoch, begin=0, end=length)
    if by_epoch:
        span['convert_to_iter_based'] = True
    if kind == 'linear':
        return [dict(type='LinearLR', start_factor=ratio, **span)]
    if kind == 'constant':
        return [dict(type='ConstantLR', factor=ratio, **span)]
    if by_epoch:
        config.note('warmup', "'exp' in epochs is left out")
        return []
    # A constant factor, which an exponential one undoes with its last step.
    span['end'] += 1
    return [
        dict(type='ConstantLR', factor=ratio, by_epoch=False, begin=0),
        dict(type='ExponentialLR', gamma=ratio ** (-1 / length), **span),
    ]
