"""Check one value, or the settings in a dict, and say what is wrong."""

import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Annotated, Any

from ..errors import UserTypeError, UserValueError
from ..messages import brief, did_you_mean
from .annotations import (
    choices,
    describe,
    fits,
    fits_in_kind,
    is_sequence,
    is_union,
    item_of,
)


def check_value(key: str, hint: Any, value: Any) -> None:
    """Check one value against an annotation.

    Args:
        key: the name of the value in the config, for errors.
        hint: the annotation.
        value: what the config holds.

    Raises:
        TypeError: the value is of another kind.
        ValueError: the value is out of range, or names nothing that exists.
    """
    if fits(hint, value):
        _check_inside(key, hint, value)
        return
    names = choices(hint)
    similar = did_you_mean(value, names) if isinstance(value, str) else ''
    kind = UserValueError if fits_in_kind(hint, value) else UserTypeError
    raise kind(f'{key}={brief(value)}; expected {describe(hint)}{similar}')


def check_settings(
    key: str, declaration: type, settings: Mapping[str, Any] | None
) -> None:
    """Check settings that override the fields of a dataclass.

    Args:
        key: the config key that holds the settings, for errors.
        declaration: the dataclass.
        settings: what the config holds.

    Raises:
        TypeError: the settings are no dict, or one is of another kind.
        ValueError: there is no such setting, or one is out of range.
    """
    check_value(key, dict[str, Any] | None, settings)
    hints = _field_hints(declaration)
    for name in settings or ():
        if name not in hints:
            raise UserValueError(
                f'{key} has no option {brief(name)}'
                f'{did_you_mean(name, hints) or "."} Its options are '
                f'{", ".join(hints)}'
            )
        check_value(f'{key}.{name}', hints[name], settings[name])


def check_known(
    key: str, kinds: Mapping[str, Any], settings: Mapping[str, Any]
) -> None:
    """Check those of some settings that a table knows.

    Args:
        key: the config key that holds the settings, for errors.
        kinds: annotations by name.
        settings: what the config holds; other names are left alone.

    Raises:
        TypeError: a setting is of another kind.
        ValueError: one is out of range.
    """
    for name, kind in kinds.items():
        if name in settings:
            check_value(f'{key}.{name}', kind, settings[name])


@cache
def _field_hints(declaration: type) -> dict[str, Any]:
    hints = typing.get_type_hints(declaration, include_extras=True)
    return {field.name: hints[field.name] for field in fields(declaration)}


def _check_inside(key: str, hint: Any, value: Any) -> None:
    """Check the configs and settings at any depth of a value that fits."""
    if typing.get_origin(hint) is Annotated:
        inner, *parts = typing.get_args(hint)
        _check_inside(key, inner, value)
        for part in parts:
            if is_dataclass(part) and isinstance(part, type):
                check_settings(key, part, value)
            elif hasattr(part, 'check'):
                part.check(key, value)
    elif is_union(hint):
        branches = typing.get_args(hint)
        chosen = next(part for part in branches if fits(part, value))
        _check_inside(key, chosen, value)
    elif is_sequence(hint):
        for i, item in enumerate(value):
            _check_inside(f'{key}[{i}]', item_of(hint), item)
