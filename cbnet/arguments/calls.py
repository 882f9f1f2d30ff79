"""Check the arguments of calls: ours strictly, those of others by name."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from importlib.util import find_spec
from typing import Any

from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import DefaultScope, Registry

from ..errors import UserError, UserTypeError, UserValueError
from ..messages import brief, did_you_mean, listed, one_line
from .signatures import Taken, hints_of, taken
from .values import check_value


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
            reason = _missing_package(kind) or did_you_mean(kind, names)
            raise UserValueError(
                f'{key}.type={brief(kind)}; expected the name of something '
                f'in the registry {self.registry.name!r}{reason}'
            )
        others = {'type', *self.further}
        given = {k: cfg[k] for k in cfg if k not in others}
        check_foreign(key, found, given, self.complete)
        for name, value in given.items():
            check_kinds(f'{key}.{name}', self.registry, value)

    def _find(self, kind: str, cfg: Mapping[str, Any]) -> Any:
        current = DefaultScope.get_current_instance()
        scopes = (cfg.get('_scope_'), current and current.scope_name)
        # To look up scopes is slow, and mostly there is only one.
        if all(name in (None, self.registry.scope) for name in scopes):
            if found := self.registry.module_dict.get(kind):
                return found
        with explained(f'type={brief(kind)} cannot be looked up'):
            scope = cfg.get('_scope_')
            with self.registry.switch_scope_and_registry(scope) as registry:
                return registry.get(kind)


def check_kinds(key: str, registry: Registry, value: Any) -> None:
    """Check the configs at any depth of a value, but not their names."""
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            check_kinds(f'{key}[{i}]', registry, item)
    if isinstance(value, dict):
        kind = value.get('type')
        known = (
            registry.module_dict.get(kind) if isinstance(kind, str) else kind
        )
        kinds = taken(known).kinds if callable(known) else {}
        for name, item in value.items():
            if name in kinds:
                check_value(f'{key}.{name}', kinds[name], item)
            check_kinds(f'{key}.{name}', registry, item)


def _missing_package(kind: Any) -> str:
    """Say which package has the scope of a name, if it is not installed."""
    scope = str(kind).partition('.')[0]
    package = MODULE2PACKAGE.get(scope)
    if package is None or find_spec(scope) is not None:
        return ''
    return (
        f', but the package {package} is not installed; pip install {package}'
    )


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
    takes = taken(call)
    name = getattr(call, '__name__', type(call).__name__)
    _check_names(f'{key}: {name}', takes, given)
    if complete:
        _check_needed(f'{key}: {name}', takes, given)
    for name, value in given.items():
        if name in takes.kinds:
            check_value(f'{key}.{name}', takes.kinds[name], value)


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
    name, takes = target.__name__, taken(target)
    given = dict(zip(takes.named, args, strict=False)) | dict(kwargs)
    _check_names(name, takes, given)
    _check_needed(name, takes, given)
    hints = {**hints_of(target), **annotations}
    for key, value in given.items():
        if key in hints:
            check_value(f'{name}: {key}', hints[key], value)


def _check_names(name: str, takes: Taken, given: Iterable[str]) -> None:
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


def _check_needed(name: str, takes: Taken, given: Iterable[str]) -> None:
    for key in takes.named:
        if key in takes.needed and key not in given:
            raise UserTypeError(f'{name} needs the argument {key!r}')
