"""Tell which settings of a config a resumed run does not use.

A checkpoint holds its optimizer and its schedules as a whole. mmengine loads
them over those of the config, so that a changed learning rate or schedule
changes nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.runner import Runner

from ..messages import brief, listed

# What changes with every step, and what follows from the optimizer.
_MOVES = {'last_step', '_global_step', '_last_value', 'base_values', 'verbose'}
# The rate itself moves; the initial one is set by the config.
_SETTINGS = dict(initial_lr='lr', weight_decay='weight_decay', betas='betas')
_SETTINGS |= dict(momentum='momentum', eps='eps')


def kept_settings(runner: Runner, checkpoint: Mapping[str, Any]) -> str:
    """Say which settings of the checkpoint differ from the config's.

    Args:
        runner: the runner, with the optimizer and schedules of the config.
        checkpoint: the checkpoint that it resumes, not loaded yet.

    Returns:
        A sentence, or an empty string if all settings are equal.
    """
    found = [
        *_of_optimizer(runner.optim_wrapper, checkpoint.get('optimizer')),
        *_of_schedules(
            runner.param_schedulers, checkpoint.get('param_schedulers')
        ),
    ]
    if not found:
        return ''
    return (
        f'the resumed run goes on with the optimizer and the schedule of its '
        f'checkpoint, not with those of the config: {listed(found)}; to train '
        f'on with other ones, start from its weights: --cfg-options '
        f'load_from=FILE, with another --work-dir and without --resume'
    )


def _of_optimizer(wrapper: Any, state: Any) -> Iterator[str]:
    if not (hasattr(wrapper, 'param_groups') and isinstance(state, Mapping)):
        return  # of several optimizers, or without any
    pairs = zip(wrapper.param_groups, state['param_groups'], strict=False)
    differences: dict[str, str] = {}  # of the first group that has them
    for new, old in pairs:
        for name in new.keys() & old.keys() & _SETTINGS.keys():
            if not _equal(new[name], old[name]):
                instead = f'{_shown(old[name])} instead of {_shown(new[name])}'
                differences.setdefault(_SETTINGS[name], instead)
    yield from (f'{name} {instead}' for name, instead in differences.items())


def _of_schedules(schedules: Any, states: Any) -> Iterator[str]:
    if not (isinstance(schedules, list) and isinstance(states, list)):
        return
    if len(schedules) != len(states):
        yield (
            f'{len(states)} schedules (param_scheduler) instead of '
            f'{len(schedules)}'
        )
    for schedule, old in zip(schedules, states, strict=False):
        kind = type(schedule).__name__
        for name, value in schedule.state_dict().items():
            if name.startswith('_') or name in _MOVES or name not in old:
                continue
            if not _equal(value, old[name]):
                yield (
                    f'{kind}.{name} {_shown(old[name])} instead of '
                    f'{_shown(value)}'
                )


def _equal(new: Any, old: Any) -> bool:
    if isinstance(new, float | int) and isinstance(old, float | int):
        return abs(new - old) <= 1e-9 * max(abs(new), abs(old))
    return brief(_plain(new), 1000) == brief(_plain(old), 1000)


def _plain(value: Any) -> Any:
    """Turn the milestones, which are counted, into a list."""
    return sorted(value) if isinstance(value, dict) else value


def _shown(value: Any) -> str:
    return brief(_plain(value))
