"""Write the pages that show the model zoo, or find those that are stale.

The figures come from ``configs/*/metafile.yml`` and the recipes from the
configs; README.md, docs/model_zoo.md and model-index.yml are written.
"""

import os
from pathlib import Path

from cbnet.errors import UserValueError

from . import tables
from .entries import read_zoo
from .marked_blocks import fill_blocks
from .recipes import read_recipe

# page -> block -> the function that writes it
PAGES = {
    'README.md': {'models': tables.models_table},
    'docs/model_zoo.md': {
        'published': tables.published_table,
        'recipes': tables.recipes_table,
        'derived': tables.derived_table,
        'small': tables.small_table,
        'reports': tables.reports_table,
        'sources': tables.sources_list,
    },
}
INDEX = 'model-index.yml'


def fresh_pages(root: str | os.PathLike) -> dict[str, str]:
    """Compose README.md, docs/model_zoo.md and model-index.yml.

    Args:
        root: the repository.

    Returns:
        The text of each page, by its path below the root.

    Raises:
        ValueError: a metafile or config is wrong, or a page lacks a block;
            the message names the file.
        OSError: a page does not exist.
    """
    root = Path(root)
    zoo = read_zoo(root)
    recipes = {
        name: read_recipe(root / entry.config)
        for name, entry in zoo.entries.items()
        if not entry.is_derived
    }
    listed = ''.join(f'  - {file}\n' for file in zoo.metafiles)
    pages = {
        INDEX: f'# Written by tools/misc/model_zoo.py.\nImport:\n{listed}'
    }
    for page, blocks in PAGES.items():
        up = '../' * page.count('/')
        texts = {
            f'model zoo: {name}': write(zoo, recipes, up)
            for name, write in blocks.items()
        }
        text = (root / page).read_text(encoding='utf-8')
        try:
            pages[page] = fill_blocks(text, texts)
        except ValueError as error:
            raise UserValueError(f'{page}: {error}') from None
    return pages


def find_stale(root: str | os.PathLike) -> dict[str, str]:
    """Return the pages that must be written again, with their new texts."""
    stale = {}
    for page, text in fresh_pages(root).items():
        path = Path(root, page)
        if not path.exists() or path.read_text(encoding='utf-8') != text:
            stale[page] = text
    return stale


def write_pages(root: str | os.PathLike) -> list[str]:
    """Write the stale pages; return their paths below the root."""
    stale = find_stale(root)
    for page, text in stale.items():
        Path(root, page).write_text(text, encoding='utf-8')
    return list(stale)
