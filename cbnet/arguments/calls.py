"""Check the arguments of calls: ours strictly, those of others by name."""

import inspect
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any

from mmengine.registry import Registry

from ..errors import UserError, UserTypeError, UserValueError
from ..messages import brief, did_you_mean, listed, one_line
from .annotations import fits, is_plain
from .values import check_value

_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def validated(target: Any = None, /, **annotations: Any) -> Any:
    """Check the arguments of a class or a function (a decorator).

    Whatever a constructor of another package raises, which a class inherits,
    becomes an error for the user, too.

    Args:
        target: the class or function.
        annotations: the annotations of inherited parameters that deserve
            better ones.
    """
    if target is None:
        return lambda target: validated(target, **annotations)
    is_class = inspect.isclass(target)
    call = target.__init__ if is_class else target
    inherited = is_class and '__init__' not in vars(target)

    @wraps(call)
    def checked(*args: Any, **kwargs: Any) -> Any:
        _check_call(target, args[is_class:], kwargs, annotations)
        if not inherited:
            return call(*args, **kwargs)
        with explained(f'{target.__name__} does not accept its arguments'):
            return call(*args, **kwargs)

    checked.validates = target
    if not is_class:
        return checked
    target.__init__ = checked
    return target


@dataclass(frozen=True)
class BuiltFrom:
    """Mark the annotation of a config whose ``type`` a registry knows."""

    registry: Registry
    #: the keys that are not for the type, besides ``type``
    further: tuple[str, ...] = ('_scope_',)
    #: whether it holds all that the type needs
    complete: bool = True

    def check(self, key: str, cfg: Mapping[str, Any]) -> None:
        """Refuse an unknown type, and arguments that the type has not."""
        kind = cfg.get('type')
        found = self._find(kind, cfg) if isinstance(kind, str) else kind
        if not callable(found):
            names = self.registry.module_dict if isinstance(kind, str) else ()
            raise UserValueError(
                f'{key}.type={brief(kind)}; expected the name of something '
                f'in the registry {self.registry.name!r}'
                f'{did_you_mean(kind, names)}'
            )
        others = {'type', *self.further}
        given = {k: cfg[k] for k in cfg if k not in others}
        check_foreign(key, found, given, self.complete)
        for name, value in given.items():
            self._check_like_defaults(f'{key}.{name}', value)

    def _check_like_defaults(self, key: str, value: Any) -> None:
        """Check the configs at any depth of a value, but not their names."""
        if isinstance(value, list | tuple):
            for i, item in enumerate(value):
                self._check_like_defaults(f'{key}[{i}]', item)
        if isinstance(value, dict):
            kind = value.get('type')
            found = self._find(kind, value) if isinstance(kind, str) else kind
            for name, item in value.items():
                if callable(found):
                    _check_like_default(
                        f'{key}.{name}', _taken(found), name, item
                    )
                self._check_like_defaults(f'{key}.{name}', item)

    def _find(self, kind: str, cfg: Mapping[str, Any]) -> Any:
        with explained(f'type={brief(kind)} cannot be looked up'):
            scope = cfg.get('_scope_')
            with self.registry.switch_scope_and_registry(scope) as registry:
                return registry.get(kind)


def check_foreign(
    key: str, call: Callable, given: Mapping[str, Any], complete: bool = True
) -> None:
    """Check the arguments of code of another package as far as it tells.

    Names must exist.  What has no annotation, and a boolean, a string or a
    list of whole numbers as its default, takes nothing of another kind.

    Args:
        key: the config key that holds the arguments, for errors.
        call: the class or function that takes them.
        given: the arguments.
        complete: whether no other arguments will be given.
    """
    takes = _taken(call)
    name = getattr(call, '__name__', type(call).__name__)
    _check_names(f'{key}: {name}', takes, given)
    if complete:
        _check_needed(f'{key}: {name}', takes, given)
    for name, value in given.items():
        _check_like_default(f'{key}.{name}', takes, name, value)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Blame a part of the config for an error of foreign code in the block.

    Args:
        what: the beginning of the sentence: what cannot be done.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # constructors may raise anything
        raise UserValueError(
            f'{what}: {type(error).__name__}: {one_line(error, 300)}'
        ) from error


def _check_call(
    target: Callable,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    annotations: Mapping[str, Any],
) -> None:
    name, takes = target.__name__, _taken(target)
    given = dict(zip(takes.named, args, strict=False)) | dict(kwargs)
    _check_names(name, takes, given)
    _check_needed(name, takes, given)
    hints = {**_hints(target), **annotations}
    for key, value in given.items():
        if key in hints:
            check_value(f'{name}: {key}', hints[key], value)


@dataclass(frozen=True)
class _Taken:
    """What a class or function takes.

    Attributes:
        named: the parameters by name, also those that it hands on.
        needed: the names that have no default.
        is_open: whether it takes further names, too.
    """

    named: dict[str, inspect.Parameter]
    needed: frozenset[str]
    is_open: bool


def _check_names(name: str, takes: _Taken, given: Iterable[str]) -> None:
    for key in given:
        if key in takes.named:
            continue
        # What an open call hands on may have any name but a misspelt one.
        cutoff = 0.8 if takes.is_open else 0.5
        similar = did_you_mean(key, takes.named, cutoff)
        if similar or not takes.is_open:
            known = listed(takes.named, 20) or 'none'
            raise UserTypeError(
                f'{name} has no argument {brief(key)}'
                f'{similar or f"; its arguments are {known}"}'
            )


def _check_like_default(
    key: str, takes: _Taken, name: str, value: Any
) -> None:
    parameter = takes.named.get(name)
    if parameter is None:
        return
    hint, default = parameter.annotation, parameter.default
    if hint is parameter.empty and default != ():
        for kind in (bool, str, Sequence[int]):
            if fits(kind, default):
                check_value(key, kind, value)
    elif isinstance(default, bool) and is_plain(hint):
        check_value(key, hint | bool, value)  # FPN's bool | str, or even int


def _check_needed(name: str, takes: _Taken, given: Iterable[str]) -> None:
    for key in takes.named:
        if key in takes.needed and key not in given:
            raise UserTypeError(f'{name} needs the argument {key!r}')


@cache
def _taken(target: Callable) -> _Taken:
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
    return _Taken(
        found,
        frozenset(p.name for p in needed if p.kind not in _VARIABLE),
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
def _hints(target: Callable) -> dict[str, Any]:
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
