"""What a battle will take, from measured steps: time and money."""

from dataclasses import replace

from ..battle.tables import cost_table
from ..messages import number_of
from .battle_plan import Contest, Plan


def estimate(plan: Plan, devices: int, jobs: int, price: float | None) -> str:
    """Lay out the costs of the entries, and estimate those of the battle.

    A step was measured while nothing else ran. Several runs on one device
    share its time, and it is not known how much of it one run leaves idle.

    Args:
        plan: the battle.
        devices: the number of devices.
        jobs: the number of runs at a time.
        price: the price of a device for an hour, or None.
    """
    costs = {one.entry.name: one.cost for one in plan.contests}
    lines = [cost_table(costs), '']
    runs = len(plan.contests) * plan.runs
    lines.append(
        f'{number_of(runs, "trainings")}: entries {len(costs)}, data sets '
        f'{len(plan.contests) // len(costs)}, rates {len(plan.lrs)}, seeds '
        f'{len(plan.seeds)}'
    )
    if plan.tried:
        lines.append(
            f'{number_of(len(plan.contests) * plan.tried, "evaluations")} on '
            f'corrupted images: {len(plan.conditions)} of each training with '
            f'the chosen rate'
        )
    timed = [one for one in plan.contests if not one.cost.failed]
    if any(one.cost.step is None for one in timed):
        lines.append('no estimate of the time: not every step was measured')
        return '\n'.join(lines)
    seconds = sum(map(_seconds, timed)) * plan.runs
    seconds += sum(map(_evaluation, timed)) * plan.tried
    hours = seconds / 3600
    text = f'about {_spelt(seconds)} of a device'
    at_once = replace(plan, contests=tuple(timed)).at_once
    jobs = min(jobs, at_once)
    devices = min(devices, jobs)
    if devices > 1:
        text += f', {_spelt(seconds / devices)} with {devices} devices'
    if price is not None:
        text += f', and {hours * price:.2f} at {price:g} an hour'
    if jobs > devices:
        text += '; runs that share a device slow each other down'
    return '\n'.join([*lines, text])


def _spelt(seconds: float) -> str:
    if seconds < 5400:
        return number_of(max(round(seconds / 60), 1), 'minutes')
    return f'{seconds / 3600:.2g} hours'


def _seconds(contest: Contest) -> float:
    """Estimate one training and its evaluation."""
    return contest.steps * contest.cost.step + _evaluation(contest)


def _evaluation(contest: Contest) -> float:
    return contest.data.images('test') * contest.cost.latency
