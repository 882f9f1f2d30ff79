"""Read images; one that is missing or cut short is an error, by name."""

import io
import os
from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmdet.registry import TRANSFORMS
from mmengine import fileio
from PIL import Image, UnidentifiedImageError

from ..compat.mmengine_internals import replace_transform
from ..errors import UserError

_JPEG, _SCAN, _END = b'\xff\xd8\xff', b'\xff\xda', b'\xff\xd9'
_PNG = b'\x89PNG\r\n\x1a\n'
#: how a whole file of the formats that data sets are made of ends
_ENDS = {_JPEG: _END, _PNG: b'IEND\xaeB`\x82'}
_FROM_WORKER = 'Caught ImageFileError in DataLoader worker'


class ImageFileError(UserError, OSError):
    """An image file cannot be used; the message names it.

    Args:
        message: one line, or what torch's dataloader makes of it in a
            worker process: a traceback that ends with it.
    """

    def __init__(self, message: str) -> None:
        if message.startswith(_FROM_WORKER):
            message = message.rstrip().rpartition('ImageFileError: ')[2]
        super().__init__(message)


@TRANSFORMS.register_module()
class CheckedLoadImageFromFile(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile``, with the same options and results.

    A decoder may return half of a picture from a file that is cut short,
    the rest grey, without a word.  Whole JPEG and PNG files are told by
    their last bytes; files that end in another way are decoded a second
    time by Pillow, which is strict.

    With ``ignore_empty=True`` such a file gives None, as in mmcv.
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
            image = self._load(path)
        except ImageFileError:
            if self.ignore_empty:
                return None
            raise
        if self.to_float32:
            image = image.astype(np.float32)
        shape = image.shape[:2]
        results.update(img=image, img_shape=shape, ori_shape=shape)
        return results

    def _load(self, path: str) -> np.ndarray:
        try:
            content = self._read(path)
        except FileNotFoundError:
            raise _error(path, 'is missing') from None
        except OSError as error:
            reason = f'cannot be read: {error.strerror or error}'
            raise _error(path, reason) from error
        wrong = what_is_cut_short(content)
        image, reason = None, 'is no image that can be decoded'
        if wrong is None:
            try:
                image = mmcv.imfrombytes(
                    content, self.color_type, backend=self.imdecode_backend
                )
            except Exception as error:  # each backend has its own
                reason = f'cannot be decoded: {_first_line(error)}'
        if image is None:
            raise _error(path, f'({len(content)} bytes) {wrong or reason}')
        return image

    def _read(self, path: str) -> bytes:
        if self.file_client_args is None:
            return fileio.get(path, backend_args=self.backend_args)
        client = fileio.FileClient.infer_client(self.file_client_args, path)
        return client.get(path)


def what_is_cut_short(content: bytes) -> str | None:
    """Say what is wrong with an image file that does not end as it should.

    Args:
        content: all of the file.

    Returns:
        None for a whole file, and for one of a format unknown here, which
        is left to the decoder.
    """
    if not content:
        return 'is empty'
    for start, end in _ENDS.items():
        if content.startswith(start) and content.endswith(end):
            return None
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except UnidentifiedImageError:
        return None
    except (OSError, SyntaxError, ValueError) as error:
        return f'is cut short or damaged: {_first_line(error)}'
    # Zeros, as in a download that was given up, decode to some picture.  A
    # thumbnail inside the file has an end marker of its own, before.
    if content.startswith(_JPEG) and content.rfind(_END) < content.rfind(
        _SCAN
    ):
        return 'is cut short: it has no end marker'
    return None


def check_images() -> None:
    """Check images in every pipeline that is built from now on.

    The registry's ``LoadImageFromFile`` is replaced, not the config's word:
    tools that look for that word in a saved config still find it.
    """
    replace_transform(
        TRANSFORMS, 'LoadImageFromFile', CheckedLoadImageFromFile
    )


def _error(path: str, reason: str) -> ImageFileError:
    return ImageFileError(
        f'image {os.path.abspath(path) if "://" not in path else path} '
        f'{reason}; expected a whole image file. Restore it, or take it out '
        f'of the annotation file'
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
