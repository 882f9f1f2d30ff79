"""Files of weights: released zips are read, results are written whole."""

import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from ..compat.safe_loading import load_safely
from ..errors import UserFileError, UserValueError
from ..version import __version__
from .local_files import require_checkpoint


def read_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a ``.pth``, or a zip around one.

    torch's own files are zips as well; theirs hold a ``data.pkl``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is cut short, is no checkpoint, or holds none.
        UnsafeCheckpointError: it asks for more than data.
        BrokenCheckpointError: it cannot be read to its end.
    """
    path = Path(path)
    require_checkpoint(path, 'IN')
    inside = _checkpoint_inside(path) if zipfile.is_zipfile(path) else None
    if inside is None:
        file = load_safely(path)
    else:
        with tempfile.TemporaryDirectory() as folder:
            extracted = Path(folder, 'inside.pth')
            _extract(path, inside, extracted)
            file = load_safely(extracted, name=f'{path}, {inside}')
    if not isinstance(file, Mapping):
        raise UserValueError(
            f'{path} holds a {type(file).__name__}; expected a dict of '
            f'weights, or one with state_dict'
        )
    return dict(file)


def _checkpoint_inside(path: Path) -> str | None:
    """Name the checkpoint inside a zip; None: it is torch's own zip."""
    with zipfile.ZipFile(path) as outer:
        names = [name for name in outer.namelist() if name[-1:] != '/']
    if any(PurePosixPath(name).name == 'data.pkl' for name in names):
        return None
    found = [
        name
        for name in names
        if name.endswith('.pth') and not name.startswith('__MACOSX/')
    ]
    if len(found) != 1:
        raise UserValueError(
            f'{path} is a zip with {len(found)} files that end in .pth '
            f'(it holds {", ".join(names)[:200] or "nothing"}); expected one'
        )
    return found[0]


def _extract(path: Path, inside: str, target: Path) -> None:
    try:
        with (
            zipfile.ZipFile(path) as outer,
            outer.open(inside) as source,
            open(target, 'wb') as file,
        ):
            shutil.copyfileobj(source, file)
    # RuntimeError: it is encrypted.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise UserValueError(
            f'{path}: {inside} cannot be taken out of the zip ({error}); '
            f'download it again'
        ) from None


def find_weights(file: Mapping[str, Any]) -> dict[str, Tensor]:
    """Take the weights out of what a file holds.

    Args:
        file: weights, or a dict with the weights under ``state_dict``.

    Returns:
        Name to tensor, without ``module.`` of DataParallel.

    Raises:
        ValueError: where there are no tensors.
    """
    if isinstance(file.get('state_dict'), Mapping):
        file = file['state_dict']
    weights = {k: v for k, v in file.items() if isinstance(v, Tensor)}
    if not weights:
        raise UserValueError(
            f'the file holds no weights (it has '
            f'{", ".join(map(str, list(file)[:5])) or "nothing"})'
        )
    if all(name.startswith('module.') for name in weights):
        weights = {k.removeprefix('module.'): v for k, v in weights.items()}
    return weights


def kept_meta(file: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """Say where weights come from; keep the names of the classes.

    Args:
        file: what the file held.
        source: its path.
    """
    meta = dict(cbnet_version=__version__, converted_from=source.name)
    old = file.get('meta')
    if not isinstance(old, Mapping):
        return meta
    for key in ('mmdet_version', 'epoch', 'iter'):
        if isinstance(old.get(key), str | int):
            meta[f'source_{key}'] = old[key]
    classes = old.get('CLASSES')  # mmdet 2.x
    if isinstance(old.get('dataset_meta'), Mapping):
        classes = old['dataset_meta'].get('classes')
    if isinstance(classes, list | tuple) and all(
        isinstance(name, str) for name in classes
    ):
        meta['dataset_meta'] = dict(classes=tuple(classes))
    return meta


def write_weights(
    out: Path, weights: Mapping[str, Tensor], meta: Mapping[str, Any]
) -> None:
    """Write a checkpoint; ``out`` is there whole or not at all.

    Raises:
        OSError: where it cannot be written.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f'.unfinished-{out.name}-{os.getpid()}.tmp')
    try:
        torch.save(dict(meta=dict(meta), state_dict=dict(weights)), unfinished)
        os.replace(unfinished, out)
    except RuntimeError as error:  # torch's, of a full disk
        raise UserFileError(f'{out} was not written: {error}') from None
    finally:
        unfinished.unlink(missing_ok=True)
