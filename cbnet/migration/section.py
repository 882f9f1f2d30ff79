"""Old configs, taken key by key, so that nothing is lost silently.

What a conversion does not take of a section is still there when the section
is closed, and is reported.
"""

from collections.abc import Mapping
from typing import Any

from ..errors import UserValueError
from ..messages import brief


class Section:
    """A dict of an old config, emptied by ``take``.

    Args:
        values: the dict; left as it is.
        place: how it is called in the config, e.g. ``'data.train'``; empty
            for the whole config.
        report: lines for the user; shared by all sections of a config.

    Raises:
        ValueError: where ``values`` is no dict.
    """

    def __init__(
        self, values: Mapping[str, Any] | None, place: str, report: list[str]
    ) -> None:
        if not isinstance(values, Mapping | None):
            raise UserValueError(
                f'{place}={brief(values)}; expected a dict, as in mmdet 2.x'
            )
        self.values = dict(values or {})
        self.place = place
        self.report = report

    def take(self, key: str, default: Any = None) -> Any:
        """Take a value out."""
        return self.values.pop(key, default)

    def section(self, key: str) -> 'Section':
        """Take a dict out, as a section."""
        return Section(self.take(key), self.name(key), self.report)

    def keep(self, *names: str) -> dict[str, Any]:
        """Take those of ``names`` that are there."""
        return self.rename({name: name for name in names})

    def rename(self, names: Mapping[str, str]) -> dict[str, Any]:
        """Take those of ``names`` that are there, under their new names."""
        return {
            new: self.take(old)
            for old, new in names.items()
            if old in self.values
        }

    def name(self, key: str) -> str:
        """Name a key as the whole config must name it."""
        return f'{self.place}.{key}' if self.place else key

    def note(self, key: str, text: str) -> None:
        """Report something about a key."""
        self.report.append(f'{self.name(key)}: {text}')

    def close(self, why: str = 'left out, mmdet 3.x has no such key') -> None:
        """Report whatever nobody took."""
        for key, value in self.values.items():
            if value is not None:
                self.report.append(f'{self.name(key)}={brief(value)}: {why}')
        self.values = {}
