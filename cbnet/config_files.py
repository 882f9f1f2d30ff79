"""Read a config file; every mistake in it is one clear sentence."""

import importlib.util
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .errors import UserValueError
from .messages import one_line


def find_config(name: str) -> Path:
    """Give the path of a config; ``package::path`` is one inside a package.

    Raises:
        ValueError: there is no such package or no such file.
    """
    package, separator, inside = name.rpartition('::')
    path = Path(inside)
    if separator:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise UserValueError(f'{name}: no package {package} is installed')
        path = Path(spec.origin).parent / '.mim' / 'configs' / inside
    if not path.is_file():
        raise UserValueError(f'no config file {path}')
    return path


def read_config(path: Path, name: str, **options: Any) -> Config:
    """Read a text config with what it inherits from.

    Args:
        path: the file.
        name: how the user calls it.
        options: of ``Config.fromfile``.

    Raises:
        ValueError: for a file that is missing, broken or pure Python, or
            that inherits from such a file.
    """
    if is_pure_python(path):
        raise UserValueError(
            f'{name} is a pure Python config (read_base, imported types), '
            f'which no text config can inherit from; give the text config '
            f'of the same model, such as '
            f'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
        )
    try:
        return Config.fromfile(path, **options)
    except FileNotFoundError as error:
        raise UserValueError(
            f'{name}: it inherits from a file that is missing: '
            f'{one_line(error)}; put that file there, or correct _base_'
        ) from error
    except Exception as error:  # a config is code: it raises anything
        raise UserValueError(f'{name}: {one_line(error)}') from error


def check_new(out: Path) -> None:
    """Refuse a path at which no new config can be written.

    Raises:
        ValueError: the path does not end in ``.py``, or the file exists.
    """
    if out.suffix != '.py':
        raise UserValueError(f'{out} must end in .py')
    if out.exists():
        raise UserValueError(f'{out} exists; name another file or delete it')


def is_pure_python(path: Path) -> bool:
    """Tell whether a config is one of mmengine's lazily imported ones."""
    if path.suffix == '.py':
        with suppress(SyntaxError):  # reading it says where
            return Config._is_lazy_import(str(path))
    return False
