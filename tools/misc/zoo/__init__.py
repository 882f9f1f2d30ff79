"""The writer of the model zoo's pages.

It is no part of the package: ``tools/misc/model_zoo.py`` runs it in a clone.
"""

from .entries import read_zoo
from .pages import find_stale, write_pages

__all__ = ['find_stale', 'read_zoo', 'write_pages']
