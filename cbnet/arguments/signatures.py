"""What a class or function takes, by name, and of which kinds."""

import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from .annotations import describe, fits, is_plain

# Annotations and defaults do not tell all that may be given instead of a
# number, but never a text.
_NO_TEXT = float | bool | Sequence[Any] | dict[str, Any] | None
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Taken:
    """What a class or function takes.

    Attributes:
        named: the parameters by name, also those that it hands on.
        needed: the names that have no default.
        kinds: what may be given instead of a default, as far as it tells.
        is_open: whether it takes further names, too.
    """

    named: dict[str, inspect.Parameter]
    needed: frozenset[str]
    kinds: dict[str, Any]
    is_open: bool


@cache
def taken(target: Callable) -> Taken:
    """Read the signature, and those of the constructors it hands on to."""
    found: dict[str, inspect.Parameter] = {}
    calls = _constructors(target)
    own = []
    for call in calls:
        parameters = _signature(call)[inspect.isclass(target) :]
        own = own or parameters
        for parameter in parameters:
            if parameter.kind not in _VARIABLE:
                found.setdefault(parameter.name, parameter)
    needed = [p for p in own if p.default is p.empty]
    kinds = {name: _like_default(p) for name, p in found.items()}
    return Taken(
        found,
        frozenset(p.name for p in needed if p.kind not in _VARIABLE),
        {name: kind for name, kind in kinds.items() if kind is not None},
        bool(calls) and _is_open(calls[0]),
    )


def _constructors(target: Callable) -> list[Callable]:
    """List the constructors that hand arguments on to each other."""
    if not inspect.isclass(target):
        return [target]
    found = []
    for owner in inspect.getmro(target)[:-1]:  # without object
        call = inspect.unwrap(owner.__init__)
        if '__init__' in vars(owner) and call is not object.__init__:
            found.append(owner.__init__)
            if not _is_open(owner.__init__):
                break
    return found


def _signature(call: Callable) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(call).parameters.values())
    except ValueError:  # some builtins have none
        return [inspect.Parameter('kwargs', inspect.Parameter.VAR_KEYWORD)]


def _is_open(call: Callable) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in _signature(call))


@cache
def hints_of(target: Callable) -> dict[str, Any]:
    """Collect annotations by name; of other packages only plain ones.

    mmdet annotates a list of configs as a config, for example.
    """
    found: dict[str, Any] = {}
    for call in _constructors(target):
        own = _package(call) == _package(target)
        hints = typing.get_type_hints(call, include_extras=True)
        for name, hint in hints.items():
            if own or is_plain(hint):
                found.setdefault(name, hint)
    return found


def _package(call: Callable) -> str:
    return call.__module__.partition('.')[0]


def _like_default(parameter: inspect.Parameter) -> Any:
    """Guess what a parameter of another package takes, or give None."""
    hint, default = parameter.annotation, parameter.default
    if hint is parameter.empty and default != ():
        kinds = (bool, str, Sequence[int])
        kind = next((kind for kind in kinds if fits(kind, default)), None)
        if kind is None and fits(float, default):
            return Annotated[_NO_TEXT, 'a number']
        return kind
    if isinstance(default, bool) and is_plain(hint):
        return hint | bool  # such as FPN's bool | str, or even int
    if is_plain(hint) and fits(hint, 1) and not fits(hint, ''):
        return Annotated[_NO_TEXT, describe(hint)]
    return None
