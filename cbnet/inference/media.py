"""Find, read and write image and video files."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from mmcv.video import VideoReader
from mmdet.utils.misc import IMG_EXTENSIONS
from PIL import Image

from ..errors import UserFileError, UserValueError
from ..messages import listed

VIDEO_EXTENSIONS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v')


def find_images(source: Path, leave_out: Path) -> dict[str, Path]:
    """List one image, or all images of a folder and its subfolders.

    Args:
        source: an image or a folder.
        leave_out: a folder whose images are left out.

    Returns:
        The paths by their names relative to the folder, sorted.

    Raises:
        ValueError: there is no such file, or no image.
    """
    if source.is_file():
        kind = source.suffix.lower()
        if kind in IMG_EXTENSIONS:
            return {source.name: source}
        if kind in VIDEO_EXTENSIONS:
            raise UserValueError(
                f'{source} is a video, expected an image or a folder of images'
            )
        raise UserValueError(
            f'{source} is neither an image nor a video; expected a name that '
            f'ends in one of {" ".join((*IMG_EXTENSIONS, *VIDEO_EXTENSIONS))}'
        )
    if not source.is_dir():
        raise UserValueError(f'no file or folder {source}')
    found = {
        path.relative_to(source).as_posix(): path
        for path in _files(source, leave_out)
        if path.suffix.lower() in IMG_EXTENSIONS
    }
    if not found:
        others = other_files(source, leave_out)
        there = f', which has {others}' if others else ''
        raise UserValueError(
            f'no images in the folder {source}{there}; expected names that '
            f'end in one of {" ".join(IMG_EXTENSIONS)}'
        )
    return dict(sorted(found.items()))


def other_files(source: Path, leave_out: Path) -> str:
    """Count a folder's files that are not images: ``3 .heic, 1 .gif``."""
    counts = Counter(
        path.suffix.lower() or 'without an ending'
        for path in _files(source, leave_out)
        if path.suffix.lower() not in IMG_EXTENSIONS
    )
    return listed((f'{n} {kind}' for kind, n in counts.most_common()), 8)


def _files(source: Path, leave_out: Path) -> Iterator[Path]:
    """Yield the files below a folder that are not hidden."""
    left_out = leave_out.resolve()
    for path in source.rglob('*'):
        if path.name.startswith('.') or not path.is_file():
            continue
        if left_out not in path.resolve().parents:
            yield path


def write_image(path: Path, pixels: np.ndarray) -> None:
    """Write an image, RGB uint8 (H, W, 3), in the format its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=92)


def open_video(path: Path) -> VideoReader:
    """Open a video; iterating over it yields BGR uint8 (H, W, 3).

    Raises:
        ValueError: the file is missing or cannot be read.
    """
    if not path.is_file():
        raise UserValueError(f'no file or folder {path}')
    video = VideoReader(str(path))
    if not video.opened:
        raise UserValueError(f'{path} cannot be read as a video')
    return video


def write_video(path: Path, frames: Iterable[np.ndarray], fps: float) -> None:
    """Write frames, RGB uint8 (H, W, 3) of one size, into an mp4 file.

    Raises:
        OSError: OpenCV cannot write the file.
    """
    writer = None
    try:
        for pixels in frames:
            if writer is None:
                path.parent.mkdir(parents=True, exist_ok=True)
                code = cv2.VideoWriter.fourcc(*'mp4v')
                size = pixels.shape[1::-1]
                writer = cv2.VideoWriter(str(path), code, fps, size)
                if not writer.isOpened():
                    raise UserFileError(f'OpenCV cannot write {path}')
            writer.write(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    finally:  # a file that is not closed cannot be played
        if writer is not None:
            writer.release()
