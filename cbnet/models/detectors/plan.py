"""When an assistant is supervised, how strongly, and by which losses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from mmengine.logging import MessageHub

from ...errors import UserValueError
from ...messages import did_you_mean, listed

Schedule = Literal['constant', 'linear', 'cosine']


@dataclass(frozen=True)
class Plan:
    """How one assistant is supervised.

    Attributes:
        weight: the factor of its losses, at the start.
        schedule: how the factor changes: not, or to 0 at the end of training
            along a line or along half a cosine.
        every: the number of training steps from one pass to the next.
        losses: the patterns of the names of its losses; None: all.
    """

    weight: float
    schedule: Schedule = 'constant'
    every: int = 1
    losses: tuple[str, ...] | None = None

    def weight_now(self) -> float:
        """Return the factor in this training step; 0 skips the pass.

        Raises:
            ValueError: the step is needed, and nobody has published it.
        """
        if self.every == 1 and self.schedule == 'constant':
            return self.weight
        step = _published('iter')
        if not self.weight or step % self.every:
            return 0.0
        if self.schedule == 'constant':
            return self.weight
        # A run that is resumed for longer stays at 0 beyond its old end.
        done = min(step / _published('max_iters'), 1.0)
        if self.schedule == 'linear':
            return self.weight * (1 - done)
        return self.weight * (1 + math.cos(math.pi * done)) / 2

    def chosen(self, losses: dict[str, Any]) -> dict[str, Any]:
        """Leave out what no pattern names.

        Args:
            losses: the losses of a pass, by their plain names.

        Raises:
            ValueError: a pattern names none of them.
        """
        if self.losses is None:
            return losses
        for pattern in self.losses:
            if not any(fnmatchcase(name, pattern) for name in losses):
                raise UserValueError(
                    f'assistance.losses names {pattern!r}, but the losses of '
                    f'this detector are {listed(losses, 20)}'
                    f'{did_you_mean(pattern, losses)}'
                )
        return {
            name: value
            for name, value in losses.items()
            if any(fnmatchcase(name, pattern) for pattern in self.losses)
        }


def make_plans(
    weights: Sequence[float],
    schedule: Schedule | Sequence[Schedule],
    every: int | Sequence[int],
    losses: Sequence[str] | Sequence[Sequence[str] | None] | None,
) -> tuple[Plan, ...]:
    """Make the plan of each assistant from the options.

    Args:
        weights: the weight of each assistant.
        schedule: the schedule of all, or of each.
        every: the number of steps of all, or of each.
        losses: the patterns of all, or for each its patterns or None.

    Raises:
        ValueError: there are not as many as assistants, or no patterns.
    """
    count = len(weights)
    if losses is not None and all(isinstance(x, str) for x in losses):
        losses = [losses] * count
    patterns = for_each('losses', losses, count)
    if any(part is not None and not part for part in [losses, *patterns]):
        raise UserValueError(
            'assistance.losses=[] leaves no loss; name losses, or give the '
            'weight 0 to the assistant'
        )
    columns = zip(
        weights,
        for_each('schedule', schedule, count),
        for_each('every', every, count),
        patterns,
        strict=True,
    )
    return tuple(
        Plan(float(weight), shape, steps, part and tuple(part))
        for weight, shape, steps, part in columns
    )


def for_each(key: str, value: Any, assistants: int) -> list[Any]:
    """Give each assistant its own of an option, which may be one for all.

    Raises:
        ValueError: there are not as many as assistants.
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        return [value] * assistants
    if len(value) != assistants:
        raise UserValueError(
            f'assistance.{key}={value!r} does not fit backbone.num_members='
            f'{assistants + 1}: expected one {_ONE[key]} for each of the '
            f'{assistants} assistants (every member but the last), or one '
            f'for all'
        )
    return list(value)


_ONE = dict(
    weights='weight',
    schedule='schedule',
    every='number of steps',
    losses='list of losses',
)


def _published(name: str) -> int:
    """Read the training step or their number, which the runner publishes."""
    hub = MessageHub.get_current_instance()
    number = hub.get_info(name)
    if number is None:
        raise UserValueError(
            f'assistance.schedule and assistance.every need the training '
            f'step, but nothing has published {name!r}; outside of a runner '
            f'of mmengine, call MessageHub.get_current_instance()'
            f'.update_info({name!r}, ...) before each step'
        )
    return number
