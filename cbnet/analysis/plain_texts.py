"""Show names as they are written: no formulas, and a font that has them.

matplotlib sets what is between two ``$`` as a formula, and draws an empty box
for a character that its font does not have, such as a Chinese one.
"""

import logging
import unicodedata
from collections.abc import Iterable
from functools import cache

from matplotlib.axis import Axis, Tick
from matplotlib.figure import Figure
from matplotlib.font_manager import (
    FontProperties,
    findfont,
    findSystemFonts,
    fontManager,
    get_font,
)
from matplotlib.text import Text
from mmengine.logging import print_log

from ..messages import listed

# Spaces, control characters and what changes the character before it.
_INVISIBLE = ('Cc', 'Cf', 'Mn', 'Zl', 'Zp', 'Zs')
_MENTIONED: set[str] = set()


def plain_figure(figure: Figure) -> Figure:
    """Show the titles, labels and legends of a figure as they are written.

    The numbers along its axes stay, because powers of ten are formulas.
    """
    numbers = {id(axis.offsetText) for axis in figure.findobj(Axis)}
    for tick in figure.findobj(Tick):
        numbers |= {id(tick.label1), id(tick.label2)}
    show_plainly(t for t in figure.findobj(Text) if id(t) not in numbers)
    return figure


def show_plainly(texts: Iterable[Text]) -> None:
    """Show texts that are not drawn yet as they are written."""
    for text in texts:
        text.set_parse_math(False)
        families = text.get_fontfamily()
        usual = findfont(FontProperties(family=families))
        visible = {c for c in text.get_text() if not _is_invisible(c)}
        if missing := visible - _having(usual, visible):
            text.set_fontfamily([*families, *_fonts_for(frozenset(missing))])


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in _INVISIBLE


@cache
def _fonts_for(characters: frozenset[str]) -> tuple[str, ...]:
    """Name installed fonts that have some characters between them."""
    missing, found = set(characters), []
    # The first of equally good ones is taken, preferably a regular one.
    paths = sorted(findSystemFonts(), key=lambda p: ('Regular' not in p, p))
    while missing and paths:
        best = max(paths, key=lambda path: len(_having(path, missing)))
        if not (has := _having(best, missing)):
            break
        fontManager.addfont(best)
        found.append(fontManager.ttflist[-1].name)
        missing -= has
    if missing and not _MENTIONED:  # one line, however many names there are
        _MENTIONED.update(missing)
        print_log(
            f'no installed font has some characters of the names, such as '
            f'{listed(sorted(missing), 4)}; they are drawn as boxes; install '
            f'a font that has them, such as Noto Sans CJK for Chinese, '
            f'Japanese and Korean (the package fonts-noto-cjk of Debian and '
            f'Ubuntu)',
            'current',
            logging.WARNING,
        )
    return tuple(found)


def _having(path: str, characters: Iterable[str]) -> set[str]:
    """Tell which characters a font file has."""
    try:
        font = get_font(path)
    except (OSError, RuntimeError):  # damaged, or without outlines
        return set()
    return {c for c in characters if font.get_char_index(ord(c))}
