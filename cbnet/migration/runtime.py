"""Hooks, logging and environment of mmdet 2.x."""

from typing import Any

from mmdet.registry import HOOKS

from ..messages import brief
from .section import Section, build_problem

LOGGERS = {
    'TensorboardLoggerHook': 'TensorboardVisBackend',
    'WandbLoggerHook': 'WandbVisBackend',
    'MMDetWandbHook': 'WandbVisBackend',
    'MlflowLoggerHook': 'MLflowVisBackend',
}
NOTES = {
    'load_from': 'kept; a published file must be converted first, by '
    'tools/model_converters/published_to_cbnet.py',
    'resume_from': '{} is left out: a run of mmdet 2.x cannot be resumed; '
    'convert its weights and load them',
    'workflow': '{} is left out; 3.x validates instead',
}


def convert_runtime(top: Section, evaluation: Section) -> dict[str, Any]:
    """Convert what differs from mmdet's ``default_runtime.py``."""
    new: dict[str, Any] = {}
    log = top.section('log_config')
    hooks = dict(
        logger=log.keep('interval'),
        checkpoint=_checkpoint(top) | _best(evaluation),
    )
    new['default_hooks'] = {name: opts for name, opts in hooks.items() if opts}
    if not top.state.by_epoch:
        new['log_processor'] = dict(by_epoch=False)
    backends = _backends(log)
    if len(backends) > 1:
        new['vis_backends'] = backends
        new['visualizer'] = dict(vis_backends=backends)
    new['custom_hooks'] = _custom_hooks(top)
    new['env_cfg'] = _environment(top)
    new |= top.keep(
        'load_from', 'log_level', 'work_dir', 'find_unused_parameters'
    )
    new['resume'] = top.take('auto_resume') or None
    randomness = top.keep('seed', 'deterministic')
    if any(value is not None for value in randomness.values()):
        new['randomness'] = randomness
    if [*map(tuple, top.values.get('workflow', []))] == [('train', 1)]:
        top.drop('workflow')
    for key, text in NOTES.items():
        value = new.get(key) or top.take(key)
        if value:
            top.note(key, text.format(value))
    top.drop('gpus', 'gpu_ids', 'device')  # given where training is started
    return {k: v for k, v in new.items() if v not in (None, {}, [])}


def _checkpoint(top: Section) -> dict[str, Any]:
    config = top.section('checkpoint_config')
    options = config.keep(
        'interval', 'by_epoch', 'max_keep_ckpts', 'save_last',
        'save_optimizer', 'out_dir', 'filename_tmpl',
    )  # fmt: skip
    config.drop('create_symlink')  # 3.x writes last_checkpoint
    config.close()
    if options and not top.state.by_epoch:
        options.setdefault('by_epoch', False)
    return options


def _best(evaluation: Section) -> dict[str, Any]:
    options = evaluation.keep('save_best', 'rule')
    best = options.get('save_best')
    if best and '/' not in best and best != 'auto':
        options['save_best'] = f'coco/{best}'  # the name in 3.x
    return options


def _backends(log: Section) -> list[dict[str, Any]]:
    backends = [dict(type='LocalVisBackend')]
    for hook in log.sections('hooks'):
        kind = hook.take('type')
        if kind in LOGGERS:
            options = hook.keep('init_kwargs')
            backends.append(dict(type=LOGGERS[kind], **options))
        elif kind != 'TextLoggerHook':
            hook.report(f'{hook.place} {kind}: left out')
            hook.take_all()
        hook.drop('by_epoch')
        hook.close()
    log.close()
    return backends


def _custom_hooks(top: Section) -> list[dict[str, Any]]:
    """Keep the hooks that 3.x builds from the same arguments."""
    kept = []
    for hook in top.sections('custom_hooks'):
        values = hook.take_all()
        problem = build_problem(HOOKS, values)
        if problem is None:
            kept.append(values)
        else:
            hook.report(f'{hook.place}={brief(values)}: left out: {problem}')
    return kept


def _environment(top: Section) -> dict[str, Any]:
    environment: dict[str, Any] = top.keep('cudnn_benchmark')
    dist = top.take('dist_params')
    if dist and dict(dist) != dict(backend='nccl'):
        environment['dist_cfg'] = dict(dist)
    processes = top.keep('mp_start_method', 'opencv_num_threads')
    if processes:
        environment['mp_cfg'] = processes
    return environment
