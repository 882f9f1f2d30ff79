"""What an annotation allows, decided by pydantic, and said in words."""

import operator
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, reduce
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union

from annotated_types import BaseMetadata
from mmengine.config import Config

_WORDS = {
    bool: 'True or False',
    int: 'a whole number',
    float: 'a finite number',
    str: 'a string',
    NoneType: 'None',
}
_BOUNDS = dict(ge='from {}', gt='above {}', le='up to {}', lt='below {}')


def fits(hint: Any, value: Any) -> bool:
    """Tell whether an annotation allows a value."""
    return _validator(hint, bounds=True).isinstance_python(value)


def fits_in_kind(hint: Any, value: Any) -> bool:
    """Tell whether a value is at least of a kind that is allowed."""
    return _validator(hint, bounds=False).isinstance_python(value)


def describe(hint: Any) -> str:
    """Say in words what an annotation allows."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        texts = [part for part in args[1:] if isinstance(part, str)]
        bounds = [
            words.format(getattr(part, name))
            for name, words in _BOUNDS.items()
            for part in args[1:]
            if getattr(part, name, None) is not None
        ]
        return texts[0] if texts else ' '.join([describe(args[0]), *bounds])
    if is_union(hint):
        return ', or '.join(map(describe, args))
    if origin is Literal:
        *others, last = map(repr, args)
        return ' or '.join([', '.join(others), last] if others else [last])
    if is_sequence(hint):
        item = describe(item_of(hint))
        plural = re.sub('^a (.*?)(number|string)', r'\1\2s', item)
        several = f' of {plural}' if plural != item else f' ({item} each)'
        return 'a list' + (several if typing.get_args(hint) else '')
    if _is_mapping(hint):
        return 'a dict of settings by name'
    return _WORDS.get(hint) or f'an object of the class {hint.__name__}'


def choices(hint: Any) -> list[str]:
    """List the strings that an annotation names."""
    args = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return [choice for choice in args if isinstance(choice, str)]
    return [name for part in args for name in choices(part)]


def item_of(hint: Any) -> Any:
    """Give the annotation of the items of a sequence."""
    args = [part for part in typing.get_args(hint) if part is not Ellipsis]
    return _any_of(args) if args else Any


def is_plain(hint: Any) -> bool:
    """Tell whether an annotation has only numbers, strings and the like."""
    if is_sequence(hint):
        return is_plain(item_of(hint))
    if is_union(hint):
        return all(map(is_plain, typing.get_args(hint)))
    return hint in _WORDS


def is_union(hint: Any) -> bool:
    """Tell whether an annotation has branches."""
    return typing.get_origin(hint) in (Union, UnionType)


def is_sequence(hint: Any) -> bool:
    """Tell whether an annotation stands for lists and tuples."""
    return (typing.get_origin(hint) or hint) in (list, tuple, Sequence)


def _is_mapping(hint: Any) -> bool:
    return (typing.get_origin(hint) or hint) in (dict, Mapping)


def _any_of(hints: Iterable[Any]) -> Any:
    return reduce(operator.or_, hints)


@cache
def _validator(hint: Any, bounds: bool) -> Any:
    from pydantic import ConfigDict, TypeAdapter  # late: it takes long

    strict = ConfigDict(
        strict=True, arbitrary_types_allowed=True, allow_inf_nan=False
    )
    return TypeAdapter(_for_pydantic(hint, bounds), config=strict).validator


def _for_pydantic(hint: Any, bounds: bool) -> Any:
    """Let mmengine's configs be dicts, and lists and tuples be equal."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        inner = _for_pydantic(args[0], bounds)
        known = [part for part in args[1:] if isinstance(part, BaseMetadata)]
        return Annotated[(inner, *known)] if known and bounds else inner
    if origin is Literal and not bounds:
        return _any_of(map(type, args))
    if is_union(hint):
        return _any_of(_for_pydantic(part, bounds) for part in args)
    if is_sequence(hint):
        item = _for_pydantic(item_of(hint), bounds)
        return list[item] | tuple[item, ...]
    if _is_mapping(hint):
        from pydantic import PlainValidator

        return Annotated[Any, PlainValidator(_settings)]
    return hint


def _settings(value: Any) -> Any:
    if not isinstance(value, dict | Config):
        raise ValueError('this is no dict')
    if not all(isinstance(key, str) for key in value):
        raise ValueError('a key is no string')
    return value
