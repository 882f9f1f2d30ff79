"""Maps of images on disk, in a folder of bounded size.

A file holds the maps of one image and a checksum of them.  Whoever asks for
maps gives a key, which must determine them completely.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from mmengine.logging import print_log
from safetensors.torch import load, save
from torch import Tensor

from ...atomic_files import write_whole

# Unfinished ones, of processes that were killed, count and go as well.
_OURS = re.compile(
    r'cbnet-maps-[0-9a-f]{64}|\.unfinished-cbnet-maps-[0-9a-f]{64}-\d+\.tmp'
)
_CHECKSUM = 32  # bytes


class MapFolder:
    """Maps under their keys; the files that were not used longest go first.

    What was used since this object was made stays: from a set of images that
    the folder cannot hold, each would otherwise push out another one just
    before that is needed again.  So a full folder takes no further maps.
    Several processes may use one folder.  Each may exceed the bound by the
    file that it is writing.

    Args:
        folder: the folder, which is created.  Other files in it stay.
        most: the number of bytes that its files of maps may have.
    """

    def __init__(self, folder: str, most: int) -> None:
        self.folder, self.most = Path(folder), most
        self.began = time.time()
        self.hits = self.misses = 0

    def read(self, key: str) -> dict[str, Tensor] | None:
        """Read maps; None if there are none or the file is damaged."""
        path, content = self._path(key), b''
        with suppress(OSError):
            if path.is_file():  # a pipe would wait for ever
                content = path.read_bytes()
        body, found = content[:-_CHECKSUM], content[-_CHECKSUM:]
        if _checksum(key, body) != found:
            self.misses += 1
            return None
        self.hits += 1
        with suppress(OSError):  # the folder may be read-only
            os.utime(path)
        return load(body)

    def write(self, key: str, maps: Mapping[str, Tensor]) -> None:
        """Write maps, if there is room; a full disk is no error."""
        body = save({name: y.cpu().contiguous() for name, y in maps.items()})
        content = body + _checksum(key, body)
        try:
            if self._make_room(len(content)):
                write_whole(self._path(key), content)
        except OSError as error:
            print_log(
                f'maps are not kept in {self.folder}: {error}',
                logger='current',
            )

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self.folder / f'cbnet-maps-{name}'

    def _make_room(self, size: int) -> bool:
        """Remove files that were not used longest; tell if it suffices."""
        if size > self.most:
            return False
        files = sorted(self._files())
        total = sum(taken for _, taken, _ in files)
        for used, taken, path in files:
            if total + size <= self.most or used >= self.began:
                break
            Path(path).unlink(missing_ok=True)
            total -= taken
        return total + size <= self.most

    def _files(self) -> Iterator[tuple[float, int, str]]:
        """Yield when each of our files was used, its bytes and its path."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if not _OURS.fullmatch(entry.name):
                    continue
                try:
                    about = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # another process has removed it
                yield about.st_mtime, about.st_size, entry.path


def _checksum(key: str, body: bytes) -> bytes:
    return hashlib.sha256(key.encode() + body).digest()
