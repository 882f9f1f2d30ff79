"""Convert hooks, logging and environment."""

from typing import Any

from mmdet.registry import HOOKS

from ..messages import brief
from .section import Section, given

# key in mmdet 2.x -> key in mmdet 3.x, where only the place changed
MOVED = {
    'log_config.interval': 'default_hooks.logger.interval',
    **{
        f'checkpoint_config.{key}': f'default_hooks.checkpoint.{key}'
        for key in (
            'interval', 'by_epoch', 'max_keep_ckpts', 'save_last',
            'save_optimizer', 'out_dir', 'filename_tmpl',
        )
    },
    'evaluation.save_best': 'default_hooks.checkpoint.save_best',
    'evaluation.rule': 'default_hooks.checkpoint.rule',
    'load_from': 'load_from',
    'auto_resume': 'resume',
    'log_level': 'log_level',
    'work_dir': 'work_dir',
    'find_unused_parameters': 'find_unused_parameters',
    'seed': 'randomness.seed',
    'deterministic': 'randomness.deterministic',
    'cudnn_benchmark': 'env_cfg.cudnn_benchmark',
    'dist_params': 'env_cfg.dist_cfg',
    'mp_start_method': 'env_cfg.mp_cfg.mp_start_method',
    'opencv_num_threads': 'env_cfg.mp_cfg.opencv_num_threads',
}  # fmt: skip
DROPPED = (
    'checkpoint_config.create_symlink',  # 3.x writes last_checkpoint
    *('gpus', 'gpu_ids', 'device'),  # given where training is started
)
NOTES = {
    'load_from': 'kept; a published file must be converted first, by '
    'cbnet published-to-cbnet',
    'resume_from': '{} is left out: a run of mmdet 2.x cannot be resumed; '
    'convert its weights and load them',
    'workflow': '{} is left out; mmdet 3.x runs validation by itself',
}
LOGGERS = {
    'TensorboardLoggerHook': 'TensorboardVisBackend',
    'WandbLoggerHook': 'WandbVisBackend',
    'MMDetWandbHook': 'WandbVisBackend',
    'MlflowLoggerHook': 'MLflowVisBackend',
}


def convert_runtime(top: Section) -> dict[str, Any]:
    """Return what differs from mmdet's default runtime, by dotted key."""
    if [*map(tuple, top.values.get('workflow') or [])] == [('train', 1)]:
        top.drop('workflow')
    for key, text in NOTES.items():
        if top.values.get(key):
            top.note(key, text.format(top.values[key]))
    top.drop('resume_from', 'workflow', *DROPPED)
    new = given({here: top.take(key) for key, here in MOVED.items()})
    if new.get('env_cfg.dist_cfg') == dict(backend='nccl'):
        del new['env_cfg.dist_cfg']
    best = new.get('default_hooks.checkpoint.save_best', 'auto')
    if best and '/' not in best and best != 'auto':
        new['default_hooks.checkpoint.save_best'] = f'coco/{best}'
    if not top.state.by_epoch:
        new['log_processor.by_epoch'] = False
        if 'default_hooks.checkpoint.interval' in new:
            new.setdefault('default_hooks.checkpoint.by_epoch', False)
    backends = _backends(top.section('log_config'))
    if len(backends) > 1:
        new['vis_backends'] = new['visualizer.vis_backends'] = backends
    hooks = _custom_hooks(top)
    if hooks:
        new['custom_hooks'] = hooks
    return new


def _backends(log: Section) -> list[dict[str, Any]]:
    backends = [dict(type='LocalVisBackend')]
    for hook in log.sections('hooks'):
        kind = hook.take('type')
        hook.drop('by_epoch')
        if kind in LOGGERS:
            options = hook.keep('init_kwargs')
            backends.append(dict(type=LOGGERS[kind], **options))
        elif kind != 'TextLoggerHook':
            hook.report(f'{hook.place} {kind}: left out')
            hook.take_all()
    return backends


def _custom_hooks(top: Section) -> list[dict[str, Any]]:
    """Keep the hooks that 3.x builds from the same arguments."""
    kept = []
    for hook in top.sections('custom_hooks'):
        values = hook.take_all()
        hook.place += f'={brief(values)}'
        if hook.builds(HOOKS, values):
            kept.append(values)
    return kept
