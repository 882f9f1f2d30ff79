"""Hooks, logging, environment of mmdet 2.x."""

from typing import Any

from mmdet.registry import HOOKS
from mmengine.registry import DefaultScope

from ..messages import brief, one_line
from .section import Section

LOGGERS = {
    'TensorboardLoggerHook': 'TensorboardVisBackend',
    'WandbLoggerHook': 'WandbVisBackend',
    'MMDetWandbHook': 'WandbVisBackend',
    'MlflowLoggerHook': 'MLflowVisBackend',
}


def convert_runtime(
    top: Section, evaluation: Section, by_epoch: bool
) -> dict[str, Any]:
    """Take the runtime's keys out of an old config.

    Args:
        top: the config.
        evaluation: gives up which checkpoint is the best.
        by_epoch: whether training counts epochs.

    Returns:
        What differs from mmdet's ``default_runtime.py``.
    """
    new: dict[str, Any] = {}
    log = top.section('log_config')
    hooks = dict(
        logger=log.keep('interval'),
        checkpoint=_checkpoint(top, by_epoch) | _best(evaluation),
    )
    hooks = {name: options for name, options in hooks.items() if options}
    if hooks:
        new['default_hooks'] = hooks
    if not by_epoch:
        new['log_processor'] = dict(by_epoch=False)
    backends = _backends(log)
    if len(backends) > 1:
        new['vis_backends'] = backends
        new['visualizer'] = dict(vis_backends=backends)
    custom = _custom_hooks(top)
    if custom:
        new['custom_hooks'] = custom
    environment = _environment(top)
    if environment:
        new['env_cfg'] = environment
    new |= top.keep(
        'load_from', 'log_level', 'work_dir', 'find_unused_parameters'
    )
    if new.get('load_from'):
        top.note(
            'load_from',
            'kept; a published file must be converted first, by '
            '`cbnet published-to-cbnet`',
        )
    resume = top.take('resume_from')
    if resume is not None:
        top.note(
            'resume_from',
            f'{resume} is left out: a run of mmdet 2.x cannot '
            f'be resumed; convert its weights and load them',
        )
    if top.take('auto_resume', False):
        new['resume'] = True
    randomness = top.keep('seed', 'deterministic')
    if any(value is not None for value in randomness.values()):
        new['randomness'] = randomness
    workflow = top.take('workflow', [('train', 1)])
    if [tuple(flow) for flow in workflow] != [('train', 1)]:
        top.note('workflow', f'{workflow} is left out; 3.x validates instead')
    for key in ('gpus', 'gpu_ids', 'device'):
        top.take(key)  # said where training is started
    return {key: value for key, value in new.items() if value is not None}


def _checkpoint(top: Section, by_epoch: bool) -> dict[str, Any]:
    config = top.section('checkpoint_config')
    options = config.keep(
        'interval', 'by_epoch', 'max_keep_ckpts', 'save_last',
        'save_optimizer', 'out_dir', 'filename_tmpl',
    )  # fmt: skip
    config.take('create_symlink')  # 3.x writes last_checkpoint
    config.close()
    if options and not by_epoch:
        options.setdefault('by_epoch', False)
    return options


def _best(evaluation: Section) -> dict[str, Any]:
    options = evaluation.keep('save_best', 'rule')
    best = options.get('save_best')
    if best and '/' not in best and best != 'auto':
        options['save_best'] = f'coco/{best}'  # 3.x's names
    return options


def _backends(log: Section) -> list[dict[str, Any]]:
    backends = [dict(type='LocalVisBackend')]
    for i, hook in enumerate(log.take('hooks', [])):
        section = Section(hook, f'{log.name("hooks")}[{i}]', log.report)
        kind = section.take('type')
        if kind in LOGGERS:
            options = section.keep('init_kwargs')
            backends.append(dict(type=LOGGERS[kind], **options))
        elif kind != 'TextLoggerHook':
            section.report.append(f'{section.place} {kind}: left out')
            section.values = {}
        section.take('by_epoch')
        section.close()
    log.close()
    return backends


def _custom_hooks(top: Section) -> list[dict[str, Any]]:
    """Keep the hooks that 3.x builds from the same arguments."""
    kept = []
    for i, hook in enumerate(top.take('custom_hooks') or []):
        try:
            with DefaultScope.overwrite_default_scope('mmdet'):
                HOOKS.build(dict(hook))
        except Exception as error:  # whatever its constructor raises
            top.report.append(
                f'custom_hooks[{i}]={brief(dict(hook))}: left out: '
                f'{one_line(error, 90)}'
            )
            continue
        kept.append(dict(hook))
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
