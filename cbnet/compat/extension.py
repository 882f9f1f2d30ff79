"""Serve the module ``mmcv._ext`` where mmcv came without a compiled one.

``mmcv-lite`` ships the Python half of ``mmcv.ops``; every file of it asks
``mmcv._ext`` for operators when it is imported.  A finder at the very end of
``sys.meta_path`` answers for that one name, so a compiled module always wins.
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

EXTENSION = 'mmcv._ext'


def served_ops() -> dict[str, str]:
    """List the operators that cbnet can serve.

    Returns:
        Operator name -> ``'torchvision'`` or ``'torch'``, whichever computes
        it.  The table is the same whether or not a compiled mmcv makes it
        superfluous; ``install_ops`` says which of the two is in use.
    """
    # Imported late: the operators need torch, and install_ops must not.
    from .ops import SERVED

    return {name: op.source for name, op in sorted(SERVED.items())}


@functools.cache
def _unserved(name: str) -> Callable[..., Any]:
    def operator(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            f'the operator {name!r} of mmcv.ops needs a compiled mmcv: this '
            'installation has none (mmcv-lite), and cbnet serves those that '
            'mmdet 3.3.0 needs (cbnet.compat.served_ops() lists them). '
            'Install the compiled mmcv 2.1.0 in place of mmcv-lite: '
            "pip uninstall mmcv-lite, then pip install 'mmcv==2.1.0'"
        )

    operator.__name__ = operator.__qualname__ = name
    return operator


def _module_getattr(name: str) -> Callable[..., Any]:
    # mmcv asserts at import that its operators exist, whoever calls them; but
    # pickle, inspect and test runners probe private names and must hear no.
    if name.startswith('_'):
        raise AttributeError(f'module {EXTENSION!r} has no attribute {name!r}')
    return _unserved(name)


class ServedOpsLoader(Loader):
    """Fills the module ``mmcv._ext`` with the served operators."""

    def create_module(self, spec: ModuleSpec) -> None:
        """Ask for an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """Put every served operator, and an answer for others, into it."""
        from .ops import SERVED

        module.__doc__ = 'Operators of mmcv, served by cbnet.compat.'
        vars(module).update({n: op.function for n, op in SERVED.items()})
        vars(module)['__getattr__'] = _module_getattr


class ServedOpsFinder(MetaPathFinder):
    """Finds ``mmcv._ext``, and nothing else."""

    def find_spec(
        self, fullname: str, path: Any = None, target: Any = None
    ) -> ModuleSpec | None:
        """Return the spec of the served module for its name alone."""
        if fullname != EXTENSION:
            return None
        return ModuleSpec(fullname, ServedOpsLoader(), origin='cbnet.compat')


def install_ops() -> bool:
    """Serve ``mmcv._ext`` unless mmcv has a compiled one.

    Call it before anything imports ``mmcv.ops``; calling it again is
    harmless.  It imports the package ``mmcv``, but neither ``mmcv.ops`` nor
    mmdet.

    Returns:
        Whether this process gets mmcv's operators from cbnet.  False if they
        are compiled, or if mmcv is not installed.
    """
    if importlib.util.find_spec('mmcv') is None:
        return False
    try:
        found = importlib.util.find_spec(EXTENSION)
    except ValueError:
        # Somebody's stand-in without a spec sits in sys.modules already.
        return False
    if found is None:
        sys.meta_path.append(ServedOpsFinder())
    elif not isinstance(found.loader, ServedOpsLoader):
        return False
    module = importlib.import_module(EXTENSION)
    # The import system sets this attribute once; mmcv may be a fresh import.
    sys.modules['mmcv']._ext = module
    return True
