"""The options: when, how strongly and by which losses assistants learn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from annotated_types import Ge
from mmengine.logging import MessageHub

from ...errors import UserValueError
from ...messages import did_you_mean, listed
from ..options import Options, Weight

Schedule = Literal['constant', 'linear', 'cosine']
Steps = Annotated[int, Ge(1)]


@dataclass(frozen=True)
class AssistanceOptions(Options):
    """How the assistants are supervised.

    Attributes:
        weights: the factor of each assistant's losses, or one for all; by
            default as published, 0.5 for the first assistant and 1 for
            further ones; 0 skips an assistant.
        proposals: ``'lead'``: all RoI losses use the lead's proposals (as
            published, and the default of detectors with RPN and RoI heads);
            ``'own'``: those of each member use its own.
        lead_statistics: whether the running statistics of shared norms
            follow the lead only.
        schedule: how the weights change in training: ``'constant'``, or
            ``'linear'`` or ``'cosine'`` to 0 at its end; or one for each.
        every: the number of training steps from one supervised step of an
            assistant to the next; or one for each.
        losses: the names of the losses that an assistant has, with ``*`` and
            ``?``, such as ``['loss_rpn*']``; None: all; or a list or None
            for each.
        backward: when neck and heads run their backward pass:
            ``'together'``, in the backward pass of the step, or
            ``'per_member'``, right after the pass of each member, so that
            the activations of only one pass are kept at a time.
    """

    key = 'assistance'

    weights: Sequence[Weight] | Weight | None = None
    proposals: Literal['lead', 'own'] | None = None
    # Deviation: statistics of shared norms.  In the published code, every
    # pass moves them, but inference uses them for the lead only.
    lead_statistics: bool = True
    schedule: Schedule | Sequence[Schedule] = 'constant'
    every: Steps | Sequence[Steps] = 1
    losses: Sequence[str] | Sequence[Sequence[str] | None] | None = None
    backward: Literal['together', 'per_member'] = 'together'


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
    options: AssistanceOptions, weights: Sequence[float]
) -> tuple[Plan, ...]:
    """Make the plan of each assistant.

    Args:
        options: the options, one for all assistants or one for each.
        weights: the weight of each assistant.

    Raises:
        ValueError: there are not as many as assistants, or no losses.
    """
    count, losses = len(weights), options.losses
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
        for_each('schedule', options.schedule, count),
        for_each('every', options.every, count),
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
