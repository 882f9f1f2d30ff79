"""What a path can lead to, other than a file of weights."""

import os
from pathlib import Path

import torch

from .corpus import Content, register

damaged = register('damaged')


@damaged
def empty_file(path: Path, content: Content) -> None:
    path.touch()


@damaged
def web_page(path: Path, content: Content) -> None:
    path.write_text('<!DOCTYPE html><html>not found</html>')


@damaged
def zeros(path: Path, content: Content) -> None:
    """A terabyte that takes no place on the disk."""
    with open(path, 'wb') as file:
        file.truncate(1 << 40)


@damaged
def a_folder(path: Path, content: Content) -> None:
    path.mkdir()


@damaged
def a_loop_of_links(path: Path, content: Content) -> None:
    path.symlink_to(path.name)


@damaged
def a_link_to_nothing(path: Path, content: Content) -> None:
    path.symlink_to('nothing.pth')


@damaged
def a_file_below_a_file(path: Path, content: Content) -> Path:
    path.touch()
    return path / 'net.pth'


@damaged
def a_pipe(path: Path, content: Content) -> None:
    """Opening it waits for a writer."""
    os.mkfifo(path)


@damaged
def a_device(path: Path, content: Content) -> None:
    path.symlink_to('/dev/zero')


@damaged
def a_name_too_long(path: Path, content: Content) -> Path:
    return path.with_name('n' * 5000 + '.pth')


@register('honest')
def a_link(path: Path, content: Content) -> None:
    torch.save(content, path.with_name('real.pth'))
    path.symlink_to('real.pth')
