"""Groups of settings that a config overrides by name."""

from dataclasses import fields, replace
from typing import Any, ClassVar, TypeVar

from ..errors import UserTypeError, UserValueError
from ..messages import did_you_mean

T = TypeVar('T', bound='Options')


class Options:
    """The base of a dataclass whose fields a config may override."""

    #: the config key that holds the settings, for error messages
    key: ClassVar[str]

    def updated(self: T, settings: dict[str, Any] | None) -> T:
        """Return a copy in which ``settings`` replace the defaults.

        Raises:
            TypeError: if ``settings`` is neither a dict nor None.
            ValueError: if a key is not the name of a field.
        """
        if not isinstance(settings, dict | None):
            raise UserTypeError(
                f'{self.key}={settings!r}; expected a dict of settings'
            )
        names = [field.name for field in fields(self)]
        for name in settings or {}:
            if name not in names:
                raise UserValueError(
                    f'{self.key} has no option {name!r}'
                    f'{did_you_mean(name, names) or "."} Its options are '
                    f'{", ".join(names)}'
                )
        return replace(self, **(settings or {}))
