"""Find and read config files; report a mistake in them in one sentence."""

import importlib.util
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .compat.mmengine_internals import is_pure_python
from .errors import UserValueError
from .messages import one_line


def find_config(name: str) -> Path:
    """Return the path of a config, which may be inside a package.

    Args:
        name: a path, or ``package::path`` for a config of that package.

    Raises:
        ValueError: there is no such package or no such file.
    """
    package, separator, inside = name.rpartition('::')
    path = Path(inside)
    if separator:
        try:
            spec = importlib.util.find_spec(package)
        except (ImportError, ValueError):  # a.b without a; an empty name
            spec = None
        if spec is None or spec.origin is None:
            raise UserValueError(f'{name}: no package {package} is installed')
        folder = Path(spec.origin).parent
        carried = folder / '.mim' / 'configs'
        # In a clone that is not installed they lie beside the package.
        configs = carried if carried.exists() else folder.parent / 'configs'
        path = configs / inside
    if not path.is_file():
        raise UserValueError(f'no config file {path}')
    return path


def read_config(path: Path, name: str, **options: Any) -> Config:
    """Read a text config and the files that it inherits from.

    Args:
        path: the config file.
        name: the name that messages give to the config.
        options: the options of ``Config.fromfile``.

    Raises:
        ValueError: the file, or one that it inherits from, is missing,
            broken or a pure Python config.
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
        if 'import custom modules' in str(error):
            raise UserValueError(
                f'{name}: a module of custom_imports cannot be imported: '
                f'{one_line(_first(error))}; install its package, or put its '
                f'folder on PYTHONPATH'
            ) from error
        raise UserValueError(f'{name}: {one_line(error)}') from error


def _first(error: BaseException) -> BaseException:
    """Return the error that an error came from in the first place."""
    while before := error.__cause__ or error.__context__:
        error = before
    return error


def check_teacher(model: Any) -> None:
    """See that the config of a teacher (LD) is there.

    mmdet reads it from the working directory, and its own configs name it as
    in a clone of mmdet.

    Args:
        model: the config of the model.

    Raises:
        ValueError: the config of the teacher is missing.
    """
    key = 'teacher_config'
    name = model.get(key) if isinstance(model, dict) else None
    if not isinstance(name, str) or Path(name).is_file():
        return
    advice = "give the path of the teacher's config"
    with suppress(UserValueError):
        carried = find_config(f'mmdet::{name.removeprefix("configs/")}')
        advice = f'mmdet carries it: give {str(carried)!r}'
    raise UserValueError(
        f'model.{key}={name!r} is not a file; it is relative to the working '
        f'directory, {Path.cwd()}; {advice}'
    )


def check_new(out: Path) -> None:
    """Refuse a path at which no new config can be written.

    Raises:
        ValueError: the path does not end in ``.py``, or the file exists.
    """
    if out.suffix != '.py':
        raise UserValueError(f'{out} must end in .py')
    if out.exists():
        raise UserValueError(f'{out} exists; name another file or delete it')
