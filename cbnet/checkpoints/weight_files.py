"""Read files of weights, zipped ones too, and write the results."""

import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from ..atomic_files import whole_file
from ..compat.safe_loading import load_safely
from ..errors import MissingFileError, UserValueError
from ..messages import listed
from ..version import __version__
from .local_files import require_checkpoint

# zipfile raises a RuntimeError for an encrypted file.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)


def read_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a ``.pth`` file, or a zip file that contains one.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is cut short, or is or contains no checkpoint.
        UnsafeCheckpointError: the file asks for more than data.
        BrokenCheckpointError: the file cannot be read to its end.
    """
    path = Path(path)
    if ':' in str(path) and not path.exists():  # addresses are for configs
        raise MissingFileError(f'there is no file {path}')
    require_checkpoint(path, 'IN')
    load = _load_zip if zipfile.is_zipfile(path) else load_safely
    file = load(path)
    if not isinstance(file, Mapping):
        raise UserValueError(
            f'{path} holds a {type(file).__name__}; expected a dict of '
            f'weights, or one with state_dict'
        )
    return dict(file)


def _load_zip(path: Path) -> Any:
    """Load a zip that torch wrote, or the checkpoint inside another zip."""
    with zipfile.ZipFile(path) as outer:
        names = [name for name in outer.namelist() if name[-1:] != '/']
        if any(PurePosixPath(name).name == 'data.pkl' for name in names):
            return load_safely(path)
        found = [
            name
            for name in names
            if name.endswith('.pth') and not name.startswith('__MACOSX/')
        ]
        if len(found) != 1:
            raise UserValueError(
                f'{path} is a zip with {len(found)} files that end in .pth '
                f'(it holds {listed(names) or "nothing"}); expected one'
            )
        with tempfile.TemporaryDirectory() as folder:
            try:
                inside = outer.extract(found[0], folder)
            except _UNREADABLE as error:
                raise UserValueError(
                    f'{path}: {found[0]} cannot be extracted from the zip '
                    f'({error}); download it again'
                ) from None
            return load_safely(inside, name=f'{path}, {found[0]}')


def find_weights(
    file: Mapping[str, Any], source: str = 'the file'
) -> dict[str, Tensor]:
    """Take the weights out of a file, without DataParallel's ``module.``.

    Args:
        file: the weights, or a dict with the weights under ``state_dict``.
        source: the name of the file, for errors.

    Raises:
        ValueError: the file holds no tensors.
    """
    if isinstance(file.get('state_dict'), Mapping):
        file = file['state_dict']
    weights = {str(k): v for k, v in file.items() if isinstance(v, Tensor)}
    if not weights:
        raise UserValueError(
            f'{source} holds no weights (it has {listed(file) or "nothing"})'
        )
    if all(name.startswith('module.') for name in weights):
        weights = {k.removeprefix('module.'): v for k, v in weights.items()}
    return weights


def kept_meta(file: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """Make the meta of a converted file: its source and its classes."""
    meta = dict(cbnet_version=__version__, converted_from=source.name)
    before = file.get('meta')
    if not isinstance(before, Mapping):
        return meta
    for key in ('mmdet_version', 'epoch', 'iter'):
        if isinstance(before.get(key), str | int):
            meta[f'source_{key}'] = before[key]
    classes = before.get('CLASSES')  # mmdet 2.x
    if isinstance(before.get('dataset_meta'), Mapping):
        classes = before['dataset_meta'].get('classes')
    if isinstance(classes, list | tuple) and all(
        isinstance(name, str) for name in classes
    ):
        meta['dataset_meta'] = dict(classes=tuple(classes))
    return meta


def write_weights(
    out: Path, weights: Mapping[str, Tensor], meta: Mapping[str, Any]
) -> None:
    """Write a checkpoint completely or not at all.

    Raises:
        FileNotSavedError: the file cannot be written.
    """
    size = sum(weight.nbytes for weight in weights.values())
    with whole_file(out, size) as file:
        try:
            torch.save(dict(meta=dict(meta), state_dict=dict(weights)), file)
        except RuntimeError as error:  # this is how torch reports a full disk
            raise OSError(str(error)) from error
