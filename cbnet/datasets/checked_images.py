"""Load images strictly: name every file that is missing or cut short."""

import io
import os
import re
from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmdet.registry import TRANSFORMS
from mmengine import fileio
from PIL import Image, UnidentifiedImageError

from ..arguments import validated
from ..compat.mmengine_internals import replace_registered
from ..errors import UserError
from ..messages import one_line
from .image_sizes import size_problem

_JPEG, _SCAN, _END = b'\xff\xd8\xff', b'\xff\xda', b'\xff\xd9'
_PNG = b'\x89PNG\r\n\x1a\n'
#: the first bytes of the usual formats, and the last bytes of a whole file
_ENDS = {_JPEG: _END, _PNG: b'IEND\xaeB`\x82'}
_RESIZED = (
    'annotate the image as it is decoded, or save it in the declared size and '
    'without an EXIF orientation; "python -m cbnet.datasets.coco_check FILE '
    '--images FOLDER" lists all such images'
)
#: OpenCV's own variable, which is 2^30 if it is not set
_LIMIT = 'OPENCV_IO_MAX_IMAGE_PIXELS'
_TOO_LARGE = (
    f'cut it into tiles, which also keeps its small objects visible, or set '
    f'the environment variable {_LIMIT} to the number of pixels to allow'
)
_FROM_WORKER = 'Caught ImageFileError in DataLoader worker'


class ImageFileError(UserError, OSError):
    """An image file cannot be used; the message names it.

    Args:
        message: one line, or the traceback that torch's dataloader makes of
            it in a worker process.
    """

    def __init__(self, message: str) -> None:
        if message.startswith(_FROM_WORKER):
            message = message.rstrip().rpartition('ImageFileError: ')[2]
        super().__init__(message)


@TRANSFORMS.register_module()
@validated(imdecode_backend=str | None)
class CheckedLoadImageFromFile(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile``, with the same options and results.

    If a file is cut short, a decoder may silently fill the rest of the image
    with grey. The last bytes show whether a JPEG or PNG file is whole; files
    with another end are decoded a second time by Pillow, which is strict.

    An image has at most as many pixels as Pillow decodes, 179 million, unless
    the environment variable ``OPENCV_IO_MAX_IMAGE_PIXELS`` allows more.  It
    must have the ``height`` and ``width`` that ``results`` declare,
    if they do: masks and boxes are positions in an image of that size.

    With ``ignore_empty=True``, a wrong file gives None, as in mmcv.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Load the image of ``results['img_path']``.

        Returns:
            ``results`` with ``img`` (H, W, C), ``img_shape``, ``ori_shape``.

        Raises:
            ImageFileError: names the file and what is wrong with it.
        """
        path = str(results['img_path'])
        try:
            image = self._load(path, results)
        except ImageFileError:
            if self.ignore_empty:
                return None
            raise
        if self.to_float32:
            image = image.astype(np.float32)
        shape = image.shape[:2]
        results.update(img=image, img_shape=shape, ori_shape=shape)
        return results

    def _load(self, path: str, declared: dict[str, Any]) -> np.ndarray:
        try:
            content = self._read(path)
        except FileNotFoundError:
            raise _error(path, 'is missing') from None
        except OSError as error:
            reason = f'cannot be read: {error.strerror or error}'
            raise _error(path, reason) from error
        _require_size(path, content)
        problem = _what_is_cut_short(content)
        image = None
        if not problem:
            try:
                image = mmcv.imfrombytes(
                    content, self.color_type, backend=self.imdecode_backend
                )
                problem = 'is not an image that can be decoded'
            except Exception as error:  # every backend has its own errors
                problem = f'cannot be decoded: {one_line(error)}'
        if image is None:
            raise _error(path, f'({len(content)} bytes) {problem}')
        if 'height' in declared and 'width' in declared:
            size = declared['height'], declared['width']
            problem = size_problem(size, image.shape[:2], content)
            if problem:
                raise ImageFileError(
                    f'image {place(path)} {problem}; {_RESIZED}'
                )
        return image

    def _read(self, path: str) -> bytes:
        if self.file_client_args is None:
            return fileio.get(path, backend_args=self.backend_args)
        client = fileio.FileClient.infer_client(self.file_client_args, path)
        return client.get(path)


def _require_size(path: str, content: bytes) -> None:
    """Refuse an image that would take gigabytes, before it is decoded."""
    try:
        with Image.open(io.BytesIO(content)):
            return
    except Image.DecompressionBombError as error:
        if not os.environ.get(_LIMIT):
            raise ImageFileError(
                f'image {place(path)} has {_pixels(error)} pixels, expected '
                f'at most {2 * Image.MAX_IMAGE_PIXELS}; {_TOO_LARGE}'
            ) from None
    except (OSError, SyntaxError, ValueError):
        pass  # another format, or a damaged file, which the decoder will name


def _pixels(error: Image.DecompressionBombError) -> str:
    found = re.search(r'\d+', str(error))
    return found[0] if found else 'too many'


def _what_is_cut_short(content: bytes) -> str:
    """Describe what is missing at the end of an image file, if anything is.

    A file of an unknown format is left to the decoder.
    """
    if not content:
        return 'is empty'
    for start, end in _ENDS.items():
        if content.startswith(start) and content.endswith(end):
            return ''
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except (UnidentifiedImageError, Image.DecompressionBombError):
        return ''
    except (OSError, SyntaxError, ValueError) as error:
        return f'is cut short or damaged: {one_line(error)}'
    # An aborted download may be filled with zeros, which can be decoded. A
    # thumbnail inside the file has an end marker too, but before the scan.
    after_scan = content.rpartition(_SCAN)[2]
    if content.startswith(_JPEG) and _END not in after_scan:
        return 'is cut short: it has no end marker'
    return ''


def use_checked_loader() -> None:
    """Check the images in every pipeline that is built from now on.

    This replaces ``LoadImageFromFile`` in the registry, not in configs:
    tools that look for this name in a saved config still find it.
    """
    replace_registered(
        TRANSFORMS, 'LoadImageFromFile', CheckedLoadImageFromFile
    )


def _error(path: str, reason: str) -> ImageFileError:
    return ImageFileError(
        f'image {place(path)} {reason}; expected a whole image file. '
        f'Restore it, or remove it from the annotation file'
    )


def place(path: str) -> str:
    """Give the whole path of a file; an address stays as it is."""
    return path if '://' in path else os.path.abspath(path)
