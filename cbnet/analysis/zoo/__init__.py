"""The model zoo: figures of metafiles, recipes of configs, pages of both."""

from .entries import read_zoo
from .pages import find_stale, write_pages

__all__ = ['find_stale', 'read_zoo', 'write_pages']
