"""Two more sources of weights for mmengine's checkpoint loader.

``timm://NAME`` is timm's own file, ``package://MODULE/PATH`` a file inside an
installed package.
"""

from importlib import resources

import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor

from ..compat.safe_loading import load_safely
from ..errors import MissingFileError
from .licence import SCHEME
from .safe_timm import timm_weights


@CheckpointLoader.register_scheme(prefixes=SCHEME)
def load_from_timm(
    filename: str, map_location: str | torch.device | None = None
) -> dict[str, Tensor]:
    """Read timm's own weights of ``timm://NAME``, downloaded once."""
    weights = timm_weights(filename.removeprefix(SCHEME))
    device = map_location or 'cpu'
    return {name: weight.to(device) for name, weight in weights.items()}


@CheckpointLoader.register_scheme(prefixes='package://')
def load_from_package(
    filename: str, map_location: str | torch.device | None = None
) -> dict:
    """Read ``package://MODULE/PATH``, a file inside an installed package.

    Raises:
        FileNotFoundError: the package or the file does not exist.
    """
    package, _, path = filename.removeprefix('package://').partition('/')
    try:
        file = resources.files(package) / path
    except ModuleNotFoundError:
        raise MissingFileError(
            f'{filename}: the package {package!r} is not installed; run: '
            f'pip install {package.replace("_", "-")}'
        ) from None
    if not file.is_file():
        raise MissingFileError(
            f'{filename}: the package {package!r} holds no file {path!r}'
        )
    with resources.as_file(file) as local:
        return load_safely(local, map_location, filename)
