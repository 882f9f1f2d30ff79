"""Dicts of a published config, emptied key by key, and their shared state.

A key that the conversion does not take is still there when the sections are
closed, and is then reported, so that no setting is lost silently.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmengine.registry import DefaultScope, Registry

from ..errors import UserValueError
from ..messages import brief, one_line


@dataclass
class State:
    """The report, and settings that one section takes from another.

    Attributes:
        report: the lines for the user.
        data_root: the folder that the config's paths begin with, if any.
        by_epoch: whether training is counted in epochs, not in iterations.
        length: the number of epochs or iterations, if known.
        normalize: the settings of ``Normalize``, which 3.x has in the model.
        pad_size_divisor: the divisor of the sides of padded images.
        with_mask: whether a pipeline loads masks.
        with_seg: whether a pipeline loads semantic maps.
        seg_scale: the scale of semantic maps, which 3.x has in their head.
    """

    report: list[str] = field(default_factory=list)
    data_root: str | None = None
    by_epoch: bool = True
    length: int | None = None
    normalize: dict[str, Any] | None = None
    pad_size_divisor: int = 1
    with_mask: bool = False
    with_seg: bool = False
    seg_scale: float | None = None

    def preprocessor(self) -> dict[str, Any]:
        """Return the config of the data preprocessor."""
        preprocessor = dict(
            type='DetDataPreprocessor',
            **(self.normalize or {}),
            pad_size_divisor=self.pad_size_divisor,
        )
        if self.with_mask:
            preprocessor['pad_mask'] = True
        if self.with_seg:
            # Deviation: semantic maps of HTC.  Padded with 0, which is a
            # class, as published and in mmdet 2.x.
            preprocessor.update(pad_seg=True, seg_pad_value=0)
        return preprocessor


class Section:
    """A dict of a published config, emptied by ``take``.

    Args:
        values: the dict, which stays unchanged.
        place: the name of the dict in the config, such as ``'data.train'``;
            empty for the whole config.
        state: the state that the sections of the config share.

    Raises:
        ValueError: ``values`` is not a dict.
    """

    def __init__(
        self, values: Mapping[str, Any] | None, place: str, state: State
    ) -> None:
        if not isinstance(values, Mapping | None):
            raise UserValueError(
                f'{place}={brief(values)}; expected a dict, as in mmdet 2.x'
            )
        self.values = dict(values or {})
        self.place = place
        self.state = state
        self.opened: dict[str, Section] = {}

    def take(self, key: str, default: Any = None) -> Any:
        """Take a value out; a dotted key is one inside a section."""
        section, dot, inside = key.partition('.')
        if dot:
            return self.section(section).take(inside, default)
        return self.values.pop(key, default)

    def take_all(self) -> dict[str, Any]:
        """Take all remaining values out."""
        values, self.values = self.values, {}
        return values

    def keep(self, *names: str, **renamed: str) -> dict[str, Any]:
        """Take named values out if they exist; ``old='new'`` renames one."""
        names = dict.fromkeys(names) | renamed
        return {
            new or name: self.take(name)
            for name, new in names.items()
            if name in self.values
        }

    def drop(self, *keys: str) -> None:
        """Take values out that need no counterpart."""
        for key in keys:
            self.take(key)

    def section(self, key: str) -> 'Section':
        """Open a dict as a section; it stays open until ``close``."""
        if key not in self.opened:
            self._open(key, self.take(key))
        return self.opened[key]

    def sections(
        self, key: str, values: Iterable[Any] | None = None
    ) -> list['Section']:
        """Open a list of dicts, by default that of the key, as sections."""
        values = values or self.take(key) or []
        return [self._open(f'{key}[{i}]', v) for i, v in enumerate(values)]

    def _open(self, key: str, values: Any) -> 'Section':
        self.opened[key] = Section(values, self.name(key), self.state)
        return self.opened[key]

    def name(self, key: str) -> str:
        """Return the name of a key in the whole config."""
        return f'{self.place}.{key}' if self.place else key

    def note(self, key: str, text: str) -> None:
        """Report something about a key."""
        self.report(f'{self.name(key)}: {text}')

    def report(self, line: str) -> None:
        """Add a line for the user."""
        self.state.report.append(line)

    def builds(self, registry: Registry, cfg: Mapping[str, Any]) -> bool:
        """Return whether mmdet 3.x builds a config; if not, report why."""
        try:
            with DefaultScope.overwrite_default_scope('mmdet'):
                registry.build(dict(cfg))
        except Exception as error:  # constructors may raise anything
            self.report(f'{self.place}: left out: {one_line(error, 90)}')
            return False
        return True

    def close(self, why: str = 'left out, mmdet 3.x has no such key') -> None:
        """Report the values that nobody took, those of open sections first."""
        for section in self.opened.values():
            section.close()
        for key, value in given(self.take_all()).items():
            self.report(f'{self.name(key)}={brief(value)}: {why}')


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are not None, as a new dict."""
    return {key: value for key, value in values.items() if value is not None}
