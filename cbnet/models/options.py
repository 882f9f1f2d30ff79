"""What a config may hold in several places, and settings that it overrides."""

from dataclasses import replace
from typing import Annotated, Any, ClassVar, TypeVar

from annotated_types import Ge
from mmdet.registry import MODELS
from mmengine.registry import WEIGHT_INITIALIZERS

from ..arguments import BuiltFrom, check_settings

T = TypeVar('T', bound='Options')

#: the factor of an assistant's losses
Weight = Annotated[float, Ge(0)]
#: the config of a norm, ``dict(type='BN')``
NormConfig = Annotated[
    dict[str, Any],
    BuiltFrom(MODELS, ('requires_grad', '_scope_'), complete=False),
]
_Initialiser = Annotated[
    dict[str, Any], BuiltFrom(WEIGHT_INITIALIZERS, ('override', '_scope_'))
]
#: the ``init_cfg`` of a module, ``dict(type='Pretrained', checkpoint=...)``
InitConfig = _Initialiser | list[_Initialiser] | None


class Options:
    """The base of a dataclass whose fields a config may override."""

    #: the config key that holds the settings, for error messages
    key: ClassVar[str]

    def updated(self: T, settings: dict[str, Any] | None) -> T:
        """Return a copy in which ``settings`` replace the defaults.

        Raises:
            TypeError: if ``settings`` is neither a dict nor None, or a
                setting is of another kind.
            ValueError: if a key is not the name of a field, or a setting is
                out of range.
        """
        check_settings(self.key, type(self), settings)
        return replace(self, **(settings or {}))
