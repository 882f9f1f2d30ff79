"""The names of what a config asks for, however it spells them."""

from collections.abc import Mapping
from typing import Any


def type_name(part: Mapping[str, Any], default: str = '') -> str:
    """Name the type of a part of a config, without scope or module.

    ``'CocoMetric'``, ``'mmdet.CocoMetric'`` and the class itself, which pure
    Python configs give, have one name.

    Args:
        part: the part, such as ``dict(type='CocoMetric', metric='bbox')``.
        default: the name if it has no type.
    """
    kind = part.get('type')
    if kind is None:
        return default
    return str(getattr(kind, '__name__', kind)).rpartition('.')[2]
