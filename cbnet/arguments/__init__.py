"""Check the arguments of everything that a config can build.

Annotations are the declarations, and ``validated`` checks them strictly: a
boolean is True or False, not 1; nothing is converted or copied.  Inside
``Annotated`` an annotation may also hold bounds of ``annotated_types``
(``Ge(0)``), a text that says what is expected, :class:`BuiltFrom` for a
config whose ``type`` is registered, and a dataclass for settings that
override its fields.
"""

from .calls import (
    BuiltFrom,
    check_foreign,
    check_kinds,
    explained,
    validated,
)
from .values import check_known, check_settings, check_value

__all__ = [
    'BuiltFrom',
    'check_foreign',
    'check_kinds',
    'check_known',
    'check_settings',
    'check_value',
    'explained',
    'validated',
]
