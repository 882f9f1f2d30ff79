"""Find, read and write image and video files."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from mmcv.video import VideoReader
from mmdet.utils.misc import IMG_EXTENSIONS
from PIL import Image

from ..errors import UserFileError, UserValueError
from ..messages import listed

VIDEO_EXTENSIONS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v')


def find_images(
    source: Path, leave_out: Path
) -> tuple[dict[str, Path], Counter[str]]:
    """List one image, or all images of a folder and its subfolders.

    Args:
        source: an image or a folder.
        leave_out: a folder whose images are left out.

    Returns:
        The paths by their names relative to the folder, sorted, and how
        many other files of each kind the folder has. Hidden files do not
        count.

    Raises:
        ValueError: there is no such file, or no image.
    """
    if source.is_file():
        if source.suffix.lower() in IMG_EXTENSIONS:
            return {source.name: source}, Counter()
        raise UserValueError(
            f'{source} is neither an image nor a video; expected a name that '
            f'ends in one of {" ".join((*IMG_EXTENSIONS, *VIDEO_EXTENSIONS))}'
        )
    if not source.is_dir():
        raise UserValueError(f'no file or folder {source}')
    left_out = leave_out.resolve()
    found, others = {}, Counter()
    for path in source.rglob('*'):
        if not path.is_file() or left_out in path.resolve().parents:
            continue
        kind = path.suffix.lower()
        if kind in IMG_EXTENSIONS:
            found[path.relative_to(source).as_posix()] = path
        elif not path.name.startswith('.'):
            others[kind or 'without an ending'] += 1
    if not found:
        there = f', which has {kinds(others)}' if others else ''
        raise UserValueError(
            f'no images in the folder {source}{there}; expected names that '
            f'end in one of {" ".join(IMG_EXTENSIONS)}'
        )
    return dict(sorted(found.items())), others


def kinds(counts: Counter[str]) -> str:
    """Say how many files there are of each kind: ``3 .heic, 1 .gif``."""
    return listed((f'{n} {kind}' for kind, n in counts.most_common()), 8)


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
