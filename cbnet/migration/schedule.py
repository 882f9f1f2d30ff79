"""Optimizer, learning rate, loops of mmdet 2.x."""

from typing import Any

from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS

from .section import Section

WARMUPS = {
    'linear': ('LinearLR', 'start_factor'),
    'constant': ('ConstantLR', 'factor'),
}
# Published names inside the backbone, as in keys of paramwise_cfg.
RENAMED = {'cb_modules': 'members', 'cb_linears': 'connections'}


class Schedule:
    """How long training lasts, and what happens on the way.

    Args:
        top: the config; gives up its keys of the schedule.
    """

    def __init__(self, top: Section) -> None:
        self.top = top
        runner = top.section('runner')
        kind = runner.take('type', 'EpochBasedRunner')
        epochs = runner.take('max_epochs', top.take('total_epochs'))
        iters = runner.take('max_iters', top.take('total_iters'))
        runner.close()
        #: whether steps are counted in epochs, not in iterations
        self.by_epoch = iters is None
        self.length = epochs if self.by_epoch else iters
        self.mixed_precision = kind == 'EpochBasedRunnerAmp'
        if kind not in (
            'EpochBasedRunner',
            'EpochBasedRunnerAmp',
            'IterBasedRunner',
        ):
            runner.note('type', f'{kind} is left out')

    def convert(self, evaluation: Section) -> dict[str, Any]:
        """Give the entries of the new config that speak of the schedule.

        Args:
            evaluation: gives up when to evaluate.
        """
        new: dict[str, Any] = {}
        when = evaluation.rename(
            dict(interval='val_interval', start='val_begin')
        )
        evaluation.take('by_epoch')  # follows the runner
        if self.length is None:
            self.top.report.append(
                'runner: neither max_epochs nor max_iters; train_cfg is '
                'yours to write'
            )
        else:
            kind = 'Epoch' if self.by_epoch else 'Iter'
            limit = 'max_epochs' if self.by_epoch else 'max_iters'
            new['train_cfg'] = dict(type=f'{kind}BasedTrainLoop')
            new['train_cfg'] |= {limit: self.length, 'val_interval': 1} | when
        if 'optimizer' in self.top.values:
            new['optim_wrapper'] = self._optim_wrapper()
        if 'lr_config' in self.top.values:
            new['param_scheduler'] = self._param_scheduler()
        return new

    def _optim_wrapper(self) -> dict[str, Any]:
        optimizer = dict(self.top.take('optimizer'))
        wrapper: dict[str, Any] = dict(type='OptimWrapper')
        paramwise = optimizer.pop('paramwise_cfg', None)
        constructor = optimizer.pop('constructor', None)
        wrapper['optimizer'] = optimizer
        if paramwise:
            wrapper['paramwise_cfg'] = self._paramwise(dict(paramwise))
        if constructor not in (None, 'DefaultOptimizerConstructor'):
            if OPTIM_WRAPPER_CONSTRUCTORS.get(constructor) is None:
                self.top.report.append(
                    f'optimizer.constructor={constructor!r}: left out, '
                    f'mmdet 3.x has none of that name'
                )
            else:
                wrapper['constructor'] = constructor
        config = self.top.section('optimizer_config')
        clip = config.take('grad_clip')
        if clip:
            wrapper['clip_grad'] = dict(clip)
        steps = config.take('update_interval', 1)
        steps = config.take('cumulative_iters', steps)
        if steps != 1:
            wrapper['accumulative_counts'] = steps
        config.take('type')
        self.mixed_precision |= bool(config.take('use_fp16', False))
        for key in ('coalesce', 'bucket_size_mb'):
            config.take(key)  # of a reduction that torch's DDP does itself
        config.close()
        fp16 = self.top.section('fp16')
        if fp16.values or self.mixed_precision:
            scale = fp16.take('loss_scale', 'dynamic')
            wrapper.update(type='AmpOptimWrapper', loss_scale=scale)
        fp16.close()
        return wrapper

    def _paramwise(self, paramwise: dict[str, Any]) -> dict[str, Any]:
        keys = dict(paramwise.get('custom_keys') or {})
        for key in list(keys):
            for old, new in RENAMED.items():
                if old in key:
                    keys[key.replace(old, new)] = keys.pop(key)
        if keys:
            paramwise['custom_keys'] = keys
        return paramwise

    def _param_scheduler(self) -> list[dict[str, Any]]:
        config = self.top.section('lr_config')
        schedulers = []
        warmup = config.take('warmup')
        if warmup is not None:
            schedulers += self._warmup(warmup, config)
        by_epoch = config.take('by_epoch', self.by_epoch)
        span = dict(by_epoch=by_epoch, begin=0)
        if self.length is not None:
            span['end'] = self.length
        policy = config.take('policy')
        if policy == 'step':
            steps = config.take('step')
            gamma = dict(gamma=config.take('gamma', 0.1))
            if isinstance(steps, int):
                new = dict(type='StepLR', step_size=steps, **gamma)
            else:
                new = dict(type='MultiStepLR', milestones=list(steps), **gamma)
        elif policy == 'CosineAnnealing':
            names = dict(min_lr='eta_min', min_lr_ratio='eta_min_ratio')
            least = config.rename(names)
            new = dict(type='CosineAnnealingLR', T_max=self.length, **least)
        elif policy == 'poly':
            names = dict(power='power', min_lr='eta_min')
            new = dict(type='PolyLR', **config.rename(names))
        elif policy == 'fixed':
            new = None
        else:
            new = None
            config.note(
                'policy', f'{policy!r} is left out; see param_scheduler'
            )
        config.close()
        return [*schedulers, *([new | span] if new else [])]

    def _warmup(self, kind: str, config: Section) -> list[dict[str, Any]]:
        end = config.take('warmup_iters', 0)
        ratio = config.take('warmup_ratio', 0.1)
        by_epoch = config.take('warmup_by_epoch', False)
        if kind not in WARMUPS:
            config.note(
                'warmup',
                f'{kind!r} is left out; mmengine has linear and '
                f'constant warm-up',
            )
            return []
        scheduler, factor = WARMUPS[kind]
        span = dict(by_epoch=by_epoch, begin=0, end=end)
        if by_epoch:
            span['convert_to_iter_based'] = True
        return [{'type': scheduler, factor: ratio, **span}]
