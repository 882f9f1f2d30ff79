"""Name the image at which a pipeline fails.

Otherwise a training would end with OpenCV's or numpy's error alone, and
nobody would know which of a hundred thousand images it is about.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

from ..compat.mmengine_internals import failing_transform, wrap_pipelines
from ..errors import UserError
from ..messages import one_line
from .checked_images import ImageFileError, place

_ADVICE = (
    '; correct that step, or leave the image out if it is too narrow or too '
    'small for it'
)

NOT_PASSING = 'does not pass the pipeline'


@contextmanager
def naming(path: str | None, what: str) -> Iterator[None]:
    """Name an image in every error of the block that is not for users.

    Args:
        path: the image file; None if the image is not from a file.
        what: the beginning of the sentence, after the image: what it cannot
            do.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # foreign code raises anything
        image = f'image {place(str(path))}' if path else 'an image'
        step = failing_transform(error)
        at = f'{step}: ' if step else ''
        advice = _ADVICE if step else ''
        raise ImageFileError(
            f'{image} {what}: {at}{type(error).__name__}: '
            f'{one_line(error, 300)}{advice}'
        ) from error


def use_checked_pipelines() -> None:
    """Name the failing image in every pipeline of this process."""
    wrap_pipelines(_named)


def _named(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def named(self: Any, data: dict) -> Any:
        path = data.get('img_path') if isinstance(data, dict) else None
        if path is None:
            return call(self, data)  # an outer pipeline knows the image
        with naming(path, not_passing(data)):
            return call(self, data)

    return named


def not_passing(data: Mapping[str, Any]) -> str:
    """Say of the data of an image that they do not pass, with its size."""
    height, width = data.get('height'), data.get('width')
    if 'ori_shape' in data:  # the image has been read
        height, width = data['ori_shape'][:2]
    size = f'({width}x{height}) ' if height and width else ''
    return f'{size}{NOT_PASSING}'
