"""Names are drawn as they are written, whatever characters they have.

A ``$`` begins no formula, in drawn objects and in the texts of a figure;
missing characters come from an installed font that has them; if there is
none, one line says so; powers of ten along an axis stay formulas.
"""

import matplotlib as mpl
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.figure import Figure

from cbnet.analysis import plain_texts
from cbnet.analysis.image_grid import image_grid

from .test_drawing import draw, objects


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a font with black boxes for some characters, and no other."""

    def install(characters):
        pen = TTGlyphPen(None)
        pen.moveTo((0, 0))
        for corner in ((0, 1000), (1000, 1000), (1000, 0)):
            pen.lineTo(corner)
        pen.closePath()
        box, names = pen.glyph(), [f'g{i}' for i in range(len(characters))]
        font = FontBuilder(1000, isTTF=True)
        font.setupGlyphOrder(['.notdef', *names])
        font.setupCharacterMap(
            {ord(c): n for c, n in zip(characters, names, strict=True)}
        )
        font.setupGlyf(
            {'.notdef': TTGlyphPen(None).glyph()} | dict.fromkeys(names, box)
        )
        font.setupHorizontalMetrics(
            dict.fromkeys(['.notdef', *names], (1000, 0))
        )
        font.setupHorizontalHeader(ascent=1000, descent=0)
        font.setupNameTable(dict(familyName=characters, styleName='Regular'))
        font.setupOS2()
        font.setupPost()
        path = tmp_path / f'{ord(characters[0])}-Regular.ttf'
        font.save(path)
        monkeypatch.setattr(
            plain_texts, 'findSystemFonts', lambda: [str(path)]
        )

    plain_texts._fonts_for.cache_clear()
    monkeypatch.setattr(plain_texts, '_MENTIONED', set())
    monkeypatch.setattr(plain_texts, 'findSystemFonts', list)
    yield install
    plain_texts._fonts_for.cache_clear()


@pytest.mark.parametrize('name', ['$a$', r'US$ \frac$', '$$', 'x_{$^$', '<b>'])
def test_dollars_begin_no_formula(name):
    shown = draw(objects(), classes=(name, 'b'))
    assert (shown != draw(objects(), classes=('', 'b'))).any()


def test_dollars_in_names_of_files():
    figure = image_grid([np.zeros((9, 9, 3))], [r'$\a$.png'], 1, 300, ['$x$y'])
    figure.canvas.draw()
    axes = Figure().subplots()
    axes.plot([1, 1e9])
    plain_texts.plain_figure(axes.figure)
    assert not axes.title.get_parse_math()
    assert axes.yaxis.offsetText.get_parse_math()
    assert all(one.get_parse_math() for one in axes.get_yticklabels())


def test_a_font_that_has_the_characters(installed, capsys):
    installed('红色')
    assert mpl.rcParams['font.sans-serif'][0] == 'DejaVu Sans'
    with_font = draw(objects(), classes=('红色', 'b'))
    assert 'no installed font' not in capsys.readouterr().out
    # The glyphs of that font are full, and the text is white.
    white = (with_font > 230).all(axis=2)
    plain_texts._fonts_for.cache_clear()
    installed('b')
    without = draw(objects(), classes=('红色', 'b'))
    assert white.sum() > (without > 230).all(axis=2).sum() + 100


def test_without_a_font_one_line_says_so(installed, capsys):
    for _ in range(2):
        draw(objects(), classes=('红色', 'é\u200b \n'))
        draw(objects(labels=(0, 1)), classes=('红', '蓝'))
    said = capsys.readouterr()
    said = said.out + said.err
    assert 'some characters of the names, such as 红, 色; they' in said
    assert said.count('no installed font') == 1
