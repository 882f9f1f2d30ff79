"""How long each entry of a battle is trained."""

import re
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from ..errors import UserValueError
from ..messages import brief, number_of

if TYPE_CHECKING:  # the command line reads budgets, quickly
    from .data import BattleData

_EPOCHS = 12  # of mmdet's schedule 1x
_LEAST = 2  # the steps in which a rate rises and falls
_UNITS = {
    'it': ('steps', 1),
    's': ('seconds', 1),
    'min': ('seconds', 60),
    'h': ('seconds', 3600),
    'x': ('epochs', _EPOCHS),
    'ep': ('epochs', 1),
}
# Hundreds of digits would be infinite as a number.
_BUDGET = re.compile(rf'(\d{{1,9}}(?:\.\d+)?)\s*({"|".join(_UNITS)})')


@dataclass(frozen=True)
class Budget:
    """How long each entry is trained on each data set.

    Attributes:
        text: as the user wrote it.
        kind: ``steps``, ``seconds`` or ``epochs``.
        amount: how many.
    """

    text: str
    kind: str
    amount: float


def read_budget(text: str) -> Budget:
    """Read ``30min``, ``2h``, ``90s``, ``2000it``, ``1x`` or ``6ep``.

    Raises:
        ValueError: it is none of these.
    """
    found = _BUDGET.fullmatch(text.strip())
    if not found or not float(found[1]):
        raise UserValueError(
            f'--budget {brief(text)}; expected steps (2000it), time of '
            f'training (30min, 2h, 90s), epochs (6ep) or schedules of '
            f'{_EPOCHS} epochs (1x, 3x)'
        )
    kind, factor = _UNITS[found[2]]
    return Budget(text.strip(), kind, float(found[1]) * factor)


def count_steps(
    budget: Budget, data: 'BattleData', batch: int, seconds: float, entry: str
) -> int:
    """Count the steps of an entry on a data set.

    Args:
        budget: the budget.
        data: the data set.
        batch: the images of a step.
        seconds: the measured time of a step.
        entry: the name of the entry, for errors.

    Raises:
        ValueError: the budget is less than an epoch, so that some images
            would never be seen, or a single step.
    """
    images = data.trained()
    epoch = ceil(images / batch)
    least = max(epoch, _LEAST)
    if budget.kind == 'seconds':
        steps = int(budget.amount / seconds)
        need = f'{ceil(least * seconds)}s'
    elif budget.kind == 'epochs':
        steps = ceil(budget.amount * images / batch)
        # More than one if a batch holds all images.
        need = f'{(least - 1) * batch // images + 1}ep'
    else:
        steps = int(budget.amount)
        need = f'{least}it'
    if steps < least:
        few, advice = 'less than an epoch', ', or fewer images'
        if epoch == 1:
            few, advice = 'too short for a rate that rises and falls', ''
        raise UserValueError(
            f'--budget {budget.text} is {few}: '
            f'{number_of(steps, "steps")} of {number_of(batch, "images")} for '
            f'{entry}, and {data.name} has {images} to train on; give at '
            f'least {need}{advice}'
        )
    return steps
