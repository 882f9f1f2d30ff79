"""Convert the training loop and the optimizer."""

from typing import Any

from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS

from .learning_rate import convert_learning_rate
from .section import Section, given

MIXED = 'EpochBasedRunnerAmp'  # the runner that trains in mixed precision
RUNNERS = ('EpochBasedRunner', 'IterBasedRunner', MIXED)


def convert_schedule(top: Section) -> dict[str, Any]:
    """Convert the training loop, the optimizer and its schedulers."""
    state = top.state
    runner = top.take('runner.type', 'EpochBasedRunner')
    epochs = top.take('runner.max_epochs', top.take('total_epochs'))
    iters = top.take('runner.max_iters', top.take('total_iters'))
    state.by_epoch = iters is None
    state.length = epochs if state.by_epoch else iters
    if runner not in RUNNERS:
        top.note('runner.type', f'{runner} is left out')
    new: dict[str, Any] = {}
    evaluation = top.section('evaluation')
    when = evaluation.keep(interval='val_interval', start='val_begin')
    evaluation.drop('by_epoch')  # follows the runner
    if state.length is None:
        text = 'neither max_epochs nor max_iters; write train_cfg by hand'
        top.note('runner', text)
    else:
        kind = 'Epoch' if state.by_epoch else 'Iter'
        limit = {f'max_{kind.lower()}s': state.length}
        loop = dict(type=f'{kind}BasedTrainLoop', val_interval=1)
        new['train_cfg'] = loop | limit | when
    if 'optimizer' in top.values:
        new['optim_wrapper'] = _optim_wrapper(top, runner == MIXED)
    if 'lr_config' in top.values:
        new['param_scheduler'] = convert_learning_rate(
            top.section('lr_config')
        )
    return new


def _optim_wrapper(top: Section, mixed: bool) -> dict[str, Any]:
    optimizer = dict(top.take('optimizer'))
    paramwise = dict(optimizer.pop('paramwise_cfg', None) or {})
    if paramwise.get('custom_keys'):
        keys = paramwise['custom_keys']
        paramwise['custom_keys'] = {_renamed(k): v for k, v in keys.items()}
    constructor = optimizer.pop('constructor', None)
    if constructor == 'DefaultOptimizerConstructor':
        constructor = None
    elif constructor and not OPTIM_WRAPPER_CONSTRUCTORS.get(constructor):
        top.report(
            f'optimizer.constructor={constructor!r}: left out, mmdet 3.x '
            f'has no constructor of this name'
        )
        constructor = None
    config, fp16 = top.section('optimizer_config'), top.section('fp16')
    steps = config.take('update_interval', 1)
    steps = config.take('cumulative_iters', steps)
    mixed |= bool(config.take('use_fp16', False) or fp16.values)
    # The last two belong to a reduction that torch's DDP does itself.
    config.drop('type', 'coalesce', 'bucket_size_mb')
    wrapper = dict(
        type='AmpOptimWrapper' if mixed else 'OptimWrapper',
        loss_scale=fp16.take('loss_scale', 'dynamic') if mixed else None,
        optimizer=optimizer,
        paramwise_cfg=paramwise or None,
        constructor=constructor,
        clip_grad=config.take('grad_clip') or None,
        accumulative_counts=None if steps == 1 else steps,
    )
    return given(wrapper)


def _renamed(key: str) -> str:
    """Replace the published names of members and connections."""
    key = key.replace('cb_modules', 'members')
    return key.replace('cb_linears', 'connections')
