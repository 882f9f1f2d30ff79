"""Create timm's models, which read no file but timm's own weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from ..compat.safe_loading import safe_reading
from ..errors import UserError, UserFileError, UserValueError
from ..messages import brief, listed, one_line
from .licence import SCHEME, licence_of

# Besides these, everything that begins with `pretrained_`.
_FILE_OPTIONS = ('checkpoint_path', 'cache_dir')


def create_timm_model(name: str, **options: Any) -> nn.Module:
    """Create a model with ``timm.create_model``.

    With ``pretrained=True``, the log names the licence of timm's weights.

    Args:
        name: timm's name of the model.  timm would also take models from
            addresses (``hf-hub:``) and folders (``local-dir:``).
        options: further arguments, but none that name a file or an address.

    Raises:
        ValueError: there is no such model, there are no such weights, or
            timm is given a file to read.
        UserFileError: timm's own weights cannot be downloaded.
        UnsafeCheckpointError: the file with timm's own weights asks for
            something other than data.
        BrokenCheckpointError: that file cannot be read to its end.
    """
    model = _create(name, options)
    if options.get('pretrained'):
        source = f'{SCHEME}{name}'
        licence = licence_of(source) or 'timm names no licence'
        print_log(f'loaded {source} ({licence})', 'current')
    return model


def timm_weights(name: str) -> dict[str, Tensor]:
    """Read timm's own weights of a model, downloaded once.

    Raises:
        ValueError, UserFileError, UnsafeCheckpointError,
            BrokenCheckpointError: as ``create_timm_model``.
    """
    return _create(name, dict(pretrained=True)).state_dict()


def _create(name: str, options: dict[str, Any]) -> nn.Module:
    import timm  # late: only some members need it, and it takes long

    if not isinstance(name, str) or not timm.is_model(name):
        raise UserValueError(
            f'model_name={name!r} is not a timm model; timm.list_models() '
            f'lists the models'
        )
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError:  # what follows the dot names no weights
        model = name.partition('.')[0]
        raise UserValueError(
            f'model_name={name!r} names weights that timm does not have; '
            f'expected one of {listed(timm.list_pretrained(f"{model}.*"))}'
        ) from None
    for key, value in options.items():
        if key in _FILE_OPTIONS or key.startswith('pretrained_'):
            raise UserValueError(
                f'{key}={brief(value)} is not accepted, because timm would '
                f'read files by itself, perhaps unsafely; name the weights in '
                f"init_cfg=dict(type='Pretrained', checkpoint=...)"
            )
    if not options.get('pretrained'):
        return timm.create_model(name, **options)
    with _downloading(f'{SCHEME}{name}'), safe_reading(f'{SCHEME}{name}'):
        return timm.create_model(name, **options)


@contextmanager
def _downloading(source: str) -> Iterator[None]:
    """Say in one sentence that a download failed.

    Raises:
        UserFileError: what the hub or the network says.
    """
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        reason = one_line(error).partition('. ')[0]
        raise UserFileError(
            f'{source} could not be downloaded: {reason}; without a network, '
            f'a file that was downloaded elsewhere can be named instead'
        ) from error
