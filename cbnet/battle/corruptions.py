"""The corrupted images on which the trained models of a battle are tried."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config, ConfigDict

from ..datasets.corruption import (
    CORRUPTIONS,
    LEAST_SIDE,
    SEVERITIES,
    corruption_library,
)
from ..errors import UserValueError
from ..messages import did_you_mean, listed
from .data import BattleData
from .figures import Figures, read_figures

_FOLDER = 'corrupted'
_PLACE = 1  # of the corruption in the pipeline, behind the loading
_PIPELINE = f'test_dataloader.dataset.pipeline.{_PLACE}'


@dataclass(frozen=True, order=True)
class Condition:
    """A corruption at a level.

    Attributes:
        corruption: one of ``CORRUPTIONS``.
        severity: from 1 to 5.
    """

    corruption: str
    severity: int

    def __str__(self) -> str:
        return f'{self.corruption}, level {self.severity}'

    @property
    def folder(self) -> str:
        """The folder of its evaluation, in the folder of a run."""
        return f'{_FOLDER}/{self.corruption}-{self.severity}'

    @property
    def options(self) -> list[str]:
        """The overrides of ``corrupted_config`` that select it."""
        return [
            f'{_PIPELINE}.corruption={self.corruption}',
            f'{_PIPELINE}.severity={self.severity}',
        ]


def read_conditions(
    names: Sequence[str] | None, severities: Sequence[int] | None
) -> tuple[Condition, ...]:
    """Read ``--corruptions`` and ``--severities``.

    Args:
        names: the corruptions, or ``all``; None: no corruption.
        severities: the levels; None: all of them.

    Raises:
        ValueError: a name is unknown, there are levels without corruptions,
            or the library is not installed.
    """
    if names is None:
        if severities is not None:
            raise UserValueError(
                '--severities sets the levels of --corruptions, which is not '
                'given; add --corruptions all, or leave it out'
            )
        return ()
    for name in names:
        if name not in (*CORRUPTIONS, 'all'):
            known = listed(CORRUPTIONS, len(CORRUPTIONS))
            raise UserValueError(
                f'--corruptions {name!r}: expected all, or some of {known}'
                f'{did_you_mean(name, CORRUPTIONS)}'
            )
    corruption_library()
    levels = sorted(set(severities or SEVERITIES))
    chosen = [one for one in CORRUPTIONS if one in names or 'all' in names]
    return tuple(Condition(one, level) for one in chosen for level in levels)


def check_sizes(data: BattleData) -> None:
    """Refuse images that are too small to be corrupted.

    Raises:
        ValueError: names the first of them.
    """
    for image in data.splits['test'].content['images']:
        if min(image['width'], image['height']) < LEAST_SIDE:
            raise UserValueError(
                f'--corruptions: the image {image["file_name"]} of '
                f'{data.sources["test"]} has {image["width"]} x '
                f'{image["height"]} pixels, expected {LEAST_SIDE} or more on '
                f'both sides; leave --corruptions out, or this image'
            )


def corrupted_config(cfg: Config, title: str) -> Config:
    """Let a config corrupt the images that ``cbnet test`` evaluates.

    Args:
        cfg: the config; it is changed. The overrides of ``Condition.options``
            select the corruption.
        title: the entry, for errors.

    Raises:
        ValueError: the images are not loaded by the first transform.
    """
    pipeline = cfg.test_dataloader.dataset.get('pipeline') or [{}]
    first = str(pipeline[0].get('type'))
    if not first.endswith('LoadImageFromFile'):
        raise UserValueError(
            f'--entries {title!r}: --corruptions needs a test pipeline that '
            f'begins with LoadImageFromFile, found {first}; change its cfg'
        )
    step = dict(
        type='SeededCorrupt', corruption=CORRUPTIONS[0], severity=SEVERITIES[0]
    )
    pipeline.insert(_PLACE, ConfigDict(step))
    return cfg


def read_corrupted(folder: Path) -> dict[Condition, Figures]:
    """Read what a run has found on corrupted images.

    Args:
        folder: the folder of the run.
    """
    found = {}
    for one in sorted((folder / _FOLDER).glob('*-*')):
        figures = read_figures(one)
        name = re.fullmatch(r'(\w+)-(\d)', one.name)
        if name and figures is not None:
            found[Condition(name[1], int(name[2]))] = figures
    return found
