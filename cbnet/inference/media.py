"""Pictures and videos on disk: which there are, their frames, a writer."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from mmdet.utils.misc import IMG_EXTENSIONS
from PIL import Image

from ..errors import UserFileError, UserValueError

VIDEO_EXTENSIONS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v')


def is_video(path: Path) -> bool:
    """Tell a video by its file name."""
    return path.suffix.lower() in VIDEO_EXTENSIONS


def find_pictures(source: Path, leave_out: Path) -> dict[str, Path]:
    """List the picture named, or all of a folder and of those inside it.

    Args:
        source: a picture or a folder.
        leave_out: a folder whose pictures do not count.

    Returns:
        Paths by their names relative to the folder, sorted.

    Raises:
        ValueError: there is no such file or no picture.
    """
    if source.is_file():
        if source.suffix.lower() not in IMG_EXTENSIONS:
            known = ' '.join((*IMG_EXTENSIONS, *VIDEO_EXTENSIONS))
            raise UserValueError(
                f'{source} is neither a picture nor a video, whose names end '
                f'in {known}'
            )
        return {source.name: source}
    if not source.is_dir():
        raise UserValueError(f'no file or folder {source}')
    drawn = leave_out.resolve()
    found = {
        path.relative_to(source).as_posix(): path
        for path in source.rglob('*')
        if path.suffix.lower() in IMG_EXTENSIONS
        and path.is_file()
        and drawn not in path.resolve().parents
    }
    if not found:
        raise UserValueError(
            f'no pictures in the folder {source}; their names end in '
            f'{" ".join(IMG_EXTENSIONS)}'
        )
    return dict(sorted(found.items()))


class Video:
    """A video's frames, read once from the first to the last.

    Attributes:
        path: the file.
        fps: frames a second.
        length: how many frames the file says it has; 0: it does not say.

    Args:
        path: the file.

    Raises:
        ValueError: it is not there or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise UserValueError(f'no file or folder {path}')
        self.path = path
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise UserValueError(f'{path} cannot be read as a video')
        self.fps = self._capture.get(cv2.CAP_PROP_FPS) or 25.0
        self.length = max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Give the frames, BGR uint8 (H, W, 3)."""
        while True:
            found, frame = self._capture.read()
            if not found:
                return
            yield frame


class PictureWriter:
    """Write pictures below a folder, each in the format its name says.

    Args:
        folder: is made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, pixels: np.ndarray) -> None:
        """Write one picture, RGB uint8 (H, W, 3)."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=92)

    def close(self) -> None:
        """Nothing is left to do."""


class VideoWriter:
    """Write frames into an mp4 file.

    Args:
        path: the file.
        fps: frames a second.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._path, self._fps = path, fps
        self._writer: cv2.VideoWriter | None = None

    def write(self, name: str, pixels: np.ndarray) -> None:
        """Add a frame, RGB uint8 (H, W, 3); all have the first one's size.

        Raises:
            OSError: OpenCV cannot write the file.
        """
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = cv2.VideoWriter(
                str(self._path),
                cv2.VideoWriter.fourcc(*'mp4v'),
                self._fps,
                pixels.shape[1::-1],
            )
            if not self._writer.isOpened():
                raise UserFileError(f'OpenCV cannot write {self._path}')
        self._writer.write(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()
