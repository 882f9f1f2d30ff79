"""Serve the module ``mmcv._ext`` where mmcv came without a compiled one.

``mmcv-lite`` contains the Python half of ``mmcv.ops``, whose files ask
``mmcv._ext`` for operators when they are imported.  A finder at the end of
``sys.meta_path`` answers for this name, so a compiled module always wins.
"""

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from ..errors import UserError
from .owners import every_owner, in_use

EXTENSION = 'mmcv._ext'
FORK = 'onedl-mmcv'


class UnservedOperatorError(UserError, NotImplementedError):
    """An operator was called that cbnet does not serve."""


def served_ops() -> dict[str, str]:
    """List the operators that cbnet can serve.

    Returns:
        The library that computes each operator, ``'torchvision'`` or
        ``'torch'``; also where a compiled mmcv is used instead.
    """
    # Imported late: the operators need torch, and install_ops must not.
    from .ops import SERVED

    return {name: op.source for name, op in sorted(SERVED.items())}


class ServedOpsFinder(MetaPathFinder, Loader):
    """Finds ``mmcv._ext`` and fills it with the served operators."""

    def find_spec(
        self, fullname: str, path: Any = None, target: Any = None
    ) -> ModuleSpec | None:
        """Return a spec for the name of the served module."""
        if fullname != EXTENSION:
            return None
        return ModuleSpec(fullname, self, origin='cbnet.compat')

    def create_module(self, spec: ModuleSpec) -> None:
        """Ask for an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """Add every served operator, and an answer for all others."""
        from .ops import SERVED

        module.__doc__ = 'Operators of mmcv, served by cbnet.compat.'
        vars(module).update({n: op.function for n, op in SERVED.items()})
        vars(module)['__getattr__'] = _unserved


@functools.cache
def _unserved(name: str) -> Callable[..., Any]:
    # mmcv asserts at import that all its operators exist, also those that
    # nobody calls; but pickle, inspect and test runners probe private names,
    # which must not exist.
    if name.startswith('_'):
        raise AttributeError(f'module {EXTENSION!r} has no attribute {name!r}')

    def operator(*args: Any, **kwargs: Any) -> Any:
        owner = next(iter(in_use(every_owner(['mmcv'])['mmcv'])), 'mmcv-lite')
        if getattr(owner, 'distribution', '') == FORK:
            # Its wheel is made on the spot, with operators if torch is there.
            remedy = (
                f'Compile it: pip install --force-reinstall --no-deps '
                f'--no-build-isolation {FORK}=={owner.version}'
            )
        else:
            remedy = (
                'Install the compiled mmcv 2.1.0 instead of mmcv-lite: '
                "pip uninstall mmcv-lite, then pip install 'mmcv==2.1.0'"
            )
        raise UnservedOperatorError(
            f'the operator {name!r} of mmcv.ops needs a compiled mmcv: this '
            f'installation has {owner}, and cbnet serves only the operators '
            f'that mmdet 3.3.0 needs (cbnet.compat.served_ops() lists them). '
            f'{remedy}'
        )

    operator.__name__ = operator.__qualname__ = name
    return operator


def install_ops() -> bool:
    """Serve ``mmcv._ext`` unless mmcv has a compiled one.

    Call it before anything imports ``mmcv.ops``; further calls change
    nothing.  It imports the package ``mmcv``, but neither ``mmcv.ops`` nor
    mmdet.

    Returns:
        Whether this process gets mmcv's operators from cbnet; False if they
        are compiled, or if mmcv is not installed.
    """
    if importlib.util.find_spec('mmcv') is None:
        return False
    try:
        found = importlib.util.find_spec(EXTENSION)
    except ValueError:
        # sys.modules holds another package's stand-in without a spec.
        return False
    if found is None:
        sys.meta_path.append(ServedOpsFinder())
    elif not isinstance(found.loader, ServedOpsFinder):
        return False
    module = importlib.import_module(EXTENSION)
    # The import system sets this attribute once; mmcv may be a fresh import.
    sys.modules['mmcv']._ext = module
    return True
