"""Write the pages that show the model zoo, or say which are stale.

``configs/*/metafile.yml`` hold the figures and the configs hold the recipes;
README.md, docs/model_zoo.md and model-index.yml are written from them.
"""

import os
from pathlib import Path

from ...errors import UserValueError
from . import tables
from .entries import Zoo, read_zoo
from .marked_blocks import fill_blocks
from .recipes import read_recipe

# What writes each block of a page.
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
_INDEX_HEAD = '# Written by tools/misc/model_zoo.py.\nImport:\n'


def fresh_pages(root: str | os.PathLike) -> dict[str, str]:
    """Give what README.md, docs/model_zoo.md and model-index.yml should be.

    Args:
        root: the repository.

    Returns:
        Whole texts by path below the root.

    Raises:
        ValueError: a metafile or config is wrong, or a page lacks a block;
            names the file.
        OSError: a page is not there.
    """
    root = Path(root)
    zoo = read_zoo(root)
    recipes = {
        name: read_recipe(root / entry.config)
        for name, entry in zoo.entries.items()
        if not tables.is_derived(entry)
    }
    pages = {INDEX: _index(zoo)}
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
    """Give the pages that are not what they should be, and what that is."""
    return {
        page: text
        for page, text in fresh_pages(root).items()
        if not (Path(root) / page).exists()
        or (Path(root) / page).read_text(encoding='utf-8') != text
    }


def write_pages(root: str | os.PathLike) -> list[str]:
    """Write the pages that are stale; give their paths below the root."""
    stale = find_stale(root)
    for page, text in stale.items():
        (Path(root) / page).write_text(text, encoding='utf-8')
    return list(stale)


def _index(zoo: Zoo) -> str:
    return _INDEX_HEAD + ''.join(f'  - {file}\n' for file in zoo.metafiles)
