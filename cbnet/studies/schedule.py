"""Let any config train for a number of steps."""

from mmengine.config import Config, ConfigDict

#: the share of the steps in which the learning rate rises
WARM_UP = 0.1
# The shares of the steps after which the rate of `drop` falls to a tenth.
_DROPS = 27 / 36, 33 / 36
_DROP_WARM_UP = 1000
_LOG_INTERVAL = 10


def count_in_steps(
    cfg: Config,
    steps: int,
    drop: bool = False,
    warm_up: float | None = None,
) -> None:
    """Let a config train for some steps, with a warm-up and a cosine.

    Steps and not epochs, so that detectors compare on data of any size, and
    a run resumes exactly where it stopped. The learning rate, the optimizer
    and the data stay as they are.

    Args:
        cfg: any mmdet config, changed in place.
        steps: the number of steps, 2 or more.
        drop: whether the rate drops twice instead of following a cosine, as
            after epochs 27 and 33 of 36.
        warm_up: the share of the steps in which the rate rises, from 0 to
            1; None: a tenth, but at most 1000 steps if the rate drops.
    """
    cfg.train_cfg = ConfigDict(
        type='IterBasedTrainLoop', max_iters=steps, val_interval=steps
    )
    cfg.param_scheduler = [
        ConfigDict(
            type='LinearLR', start_factor=0.01, by_epoch=False, end=steps
        ),
        ConfigDict(
            type='CosineAnnealingLR',
            by_epoch=False,
            begin=0,
            end=steps,
            eta_min_ratio=0.01,
        ),
    ]
    cfg.merge_from_dict(_overrides(steps, warm_up))
    if drop:
        rise: ConfigDict = cfg.param_scheduler[0]
        rise.start_factor = 0.001
        if warm_up is None:
            rise.end = min(rise.end, _DROP_WARM_UP)
        cfg.param_scheduler[1] = ConfigDict(
            type='MultiStepLR',
            by_epoch=False,
            milestones=[round(share * steps) for share in _DROPS],
        )
    cfg.train_dataloader.sampler = ConfigDict(type='InfiniteSampler')
    hooks = cfg.get('default_hooks') or ConfigDict()
    hooks.logger = ConfigDict(
        type='LoggerHook', interval=_LOG_INTERVAL, log_metric_by_epoch=False
    )
    hooks.checkpoint = ConfigDict(
        type='CheckpointHook',
        by_epoch=False,
        interval=max(steps // 10, 1),
        max_keep_ckpts=1,
    )
    cfg.default_hooks = hooks
    cfg.log_processor = ConfigDict(
        type='LogProcessor', window_size=_LOG_INTERVAL, by_epoch=False
    )


def steps_options(steps: int) -> list[str]:
    """Give the overrides that change the steps of such a config."""
    return [f'{key}={value}' for key, value in _overrides(steps).items()]


def _overrides(steps: int, warm_up: float | None = None) -> dict[str, int]:
    share = WARM_UP if warm_up is None else warm_up
    rise = min(max(round(share * steps), 1), steps - 1)
    return {
        'train_cfg.max_iters': steps,
        'train_cfg.val_interval': steps,
        'param_scheduler.0.end': rise,
        'param_scheduler.1.begin': rise,
        'param_scheduler.1.end': steps,
    }
