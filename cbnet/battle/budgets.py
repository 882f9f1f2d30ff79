"""How long each entry of a battle is trained."""

import re
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from ..errors import UserValueError
from ..messages import number_of

if TYPE_CHECKING:  # the command line reads budgets, quickly
    from .data import BattleData

_EPOCHS = 12  # of mmdet's schedule 1x
_UNITS = {
    'it': ('steps', 1),
    's': ('seconds', 1),
    'min': ('seconds', 60),
    'h': ('seconds', 3600),
    'x': ('epochs', _EPOCHS),
    'ep': ('epochs', 1),
}
_BUDGET = re.compile(rf'(\d+(?:\.\d+)?)\s*({"|".join(_UNITS)})')


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
            f'--budget {text!r}; expected steps (2000it), time of training '
            f'(30min, 2h, 90s), epochs (6ep) or schedules of {_EPOCHS} '
            f'epochs (1x, 3x)'
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
            would never be seen.
    """
    images = len(
        {
            one['image_id']
            for one in data.splits['train'].content['annotations']
        }
    )
    epoch = ceil(images / batch)
    if budget.kind == 'seconds':
        steps = int(budget.amount / seconds)
        need = f'at least {ceil(epoch * seconds)}s'
    elif budget.kind == 'epochs':
        steps = ceil(budget.amount * images / batch)
        need = 'at least 1ep'
    else:
        steps = int(budget.amount)
        need = f'at least {epoch}it'
    if steps < max(epoch, 2):
        raise UserValueError(
            f'--budget {budget.text} is less than an epoch: '
            f'{number_of(steps, "steps")} of {number_of(batch, "images")} for '
            f'{entry}, and {data.name} has {images} to train on; give '
            f'{need}, or fewer images'
        )
    return steps
