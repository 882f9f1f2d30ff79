"""What is checked of a battle before anything is trained."""

import os
from collections.abc import Iterable, Sequence

import torch
from mmengine.config import Config

from ..engine.verification import build_detector
from ..errors import UserValueError
from ..messages import did_you_mean, listed, number_of
from ..quiet import quiet_log

#: the variable that says which GPUs a process sees
VISIBLE = 'CUDA_VISIBLE_DEVICES'


def visible(device: str) -> str:
    """Name a GPU for ``VISIBLE``.

    Args:
        device: its number among those that this process sees.
    """
    seen = os.environ.get(VISIBLE)
    return seen.split(',')[int(device)].strip() if seen else device


def check_devices(devices: Sequence[str]) -> None:
    """Refuse GPUs that are not there: runs would take the CPU instead.

    Raises:
        ValueError: names the first of them.
    """
    count = torch.cuda.device_count()
    for one in devices:
        if not one.isdecimal() or int(one) >= count:
            advice = 'leave the option out'
            if count:
                advice = f'give numbers from 0 to {count - 1}'
            raise UserValueError(
                f'--devices {one}: torch finds {number_of(count, "GPUs")} on '
                f'this machine; {advice}'
            )


def check_reference(name: str | None, names: Iterable[str]) -> None:
    """Refuse a reference that does not take part.

    Args:
        name: what ``--reference`` gives.
        names: the entries of this call and of earlier ones.

    Raises:
        ValueError: names near ones, or those that there are.
    """
    if name is not None and name not in (names := [*dict.fromkeys(names)]):
        near = did_you_mean(name, names)
        raise UserValueError(
            f'--reference {name!r} is no entry'
            f'{near or f"; name one of {listed(names)}"}'
        )


def check_weights(name: str, cfg: Config) -> None:
    """Load the files of all members once.

    Raises:
        ValueError: a file is missing, or of another architecture.
    """
    backbone = build_detector(cfg, {}).backbone
    try:
        with quiet_log():  # the log of each run lists all parameters
            backbone.init_weights()
    except (OSError, ValueError) as error:
        raise UserValueError(f'--entries {name!r}: {error}') from error
