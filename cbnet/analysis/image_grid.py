"""Show images with captions in rows, in one figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from .plain_texts import plain_figure

_DPI = 100
_GAP, _LINE = 14, 17  # pixels
_TALLEST = 1.3  # height / width; taller images are shown smaller


def image_grid(
    images: Sequence[np.ndarray],
    captions: Sequence[str],
    columns: int,
    width: int,
    heading: Sequence[str] = (),
) -> Figure:
    """Lay out images, RGB uint8 (H, W, 3), in rows below a heading.

    Captions are cut to the width of an image (in pixels) and have equally
    many lines. The ``axes`` of the figure follow the order of the images.
    """
    columns = min(columns, len(images))
    ratios = [min(i.shape[0] / i.shape[1], _TALLEST) for i in images]
    heights = [
        width * max(ratios[first : first + columns])
        for first in range(0, len(images), columns)
    ]
    above = _LINE * (captions[0].count('\n') + 1) + _GAP
    size = (
        columns * (width + _GAP),
        sum(heights) + len(heights) * above + (len(heading) + 1) * _LINE,
    )
    figure = Figure(
        np.divide(size, _DPI), _DPI, facecolor='white', layout='constrained'
    )
    grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
    for place, (image, caption) in enumerate(
        zip(images, captions, strict=True)
    ):
        axes = figure.add_subplot(grid[divmod(place, columns)])
        axes.imshow(image)
        # This is about how many characters fit the width.
        lines = [line[: width // 7] for line in caption.splitlines()]
        axes.set_title('\n'.join(lines), loc='left', fontsize=8.5)
        axes.set_axis_off()
    if heading:
        figure.suptitle('\n'.join(heading), x=0.01, ha='left', fontsize=11)
    return plain_figure(figure)
