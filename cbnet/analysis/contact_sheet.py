"""Fed images in one picture, or one by one."""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ..datasets.annotations import Instance
from .fed_images import FedImage
from .panels import class_colours, draw_panel

# Lengths are pixels; at this resolution a point of text is dpi / 72 of them.
_DPI = 100
_MARGIN, _GAP, _TITLE, _LINE = 16, 12, 34, 20
_TALLEST = 1.3
_MASK_ALPHA = 0.3
_INK, _QUIET, _GREY = '#222222', '#6b6b6b', (0.55, 0.55, 0.55)


def contact_sheet(
    images: Sequence[FedImage],
    classes: Sequence[str],
    heading: Sequence[str],
    columns: int = 4,
    width: int = 420,
) -> Figure:
    """Draw images in rows.

    Args:
        images: What was fed, one or more.
        classes: Names of the labels.
        heading: Lines above all.
        columns: Images a row.
        width: Of each image, in pixels.
    """
    rows = [
        images[first : first + columns]
        for first in range(0, len(images), columns)
    ]
    heights = [max(_height(image, width) for image in row) for row in rows]
    across = max(map(len, rows))
    total = (
        2 * _MARGIN + across * width + (across - 1) * _GAP,
        2 * _MARGIN
        + len(heading) * _LINE
        + _GAP
        + sum(heights)
        + len(rows) * (_TITLE + _GAP),
    )
    figure = Figure((total[0] / _DPI, total[1] / _DPI), _DPI, facecolor='w')
    FigureCanvasAgg(figure)

    def write(x: float, y: float, text: str, **style) -> None:
        figure.text(x / total[0], 1 - y / total[1], text, va='center', **style)

    top = _MARGIN
    for line in heading:
        write(_MARGIN, top + _LINE / 2, line, size=10, color=_INK)
        top += _LINE
    top += _GAP
    for row, height in zip(rows, heights, strict=True):
        for place, image in enumerate(row):
            left = _MARGIN + place * (width + _GAP)
            name, details = image.name, image.details
            if image.instead_of:
                name += f', instead of {image.instead_of}'
            # As many letters as find room, about.
            name, details = name[: width // 7], details[: width // 6]
            write(left, top + 9, name, size=8.5, color=_INK)
            write(left, top + 23, details, size=7.5, color=_QUIET)
            own = _height(image, width)
            axes = figure.add_axes(
                (
                    left / total[0],
                    1 - (top + _TITLE + own) / total[1],
                    width / total[0],
                    own / total[1],
                )
            )
            _draw(axes, image, classes, width)
        top += _TITLE + height + _GAP
    return figure


def single_pictures(
    images: Sequence[FedImage],
    classes: Sequence[str],
    heading: Sequence[str],
) -> Iterator[Figure]:
    """Draw each image at its own size, small ones enlarged."""
    for image in images:
        width = min(max(image.pixels.shape[1], 640), 1600)
        yield contact_sheet([image], classes, heading, 1, width)


def _height(image: FedImage, width: int) -> int:
    height, own = image.pixels.shape[:2]
    return round(width * min(height / own, _TALLEST))


def _draw(
    axes: Axes, image: FedImage, classes: Sequence[str], width: int
) -> None:
    names, colours = _names(image.instances, classes)
    pixels, instances, factor = _shrink(image, width)
    # Colours are part of what is looked at.
    draw_panel(axes, pixels, instances, names, colours, 0, _MASK_ALPHA)
    height, width = (side * factor for side in image.content)
    if image.content != image.pixels.shape[:2]:
        edge = dict(color='white', lw=1, ls=(0, (4, 3)))
        axes.plot([0, width, width], [height, height, 0], **edge)


def _names(
    instances: Sequence[Instance], classes: Sequence[str]
) -> tuple[dict[int, str], dict[int, tuple[float, float, float]]]:
    """Name labels and, as negative ids, what is ignored of each."""
    labels = {
        -1 - i.category_id if i.category_id < 0 else i.category_id
        for i in instances
    }
    labels |= set(range(len(classes)))
    names = {
        label: classes[label] if label < len(classes) else f'label {label}'
        for label in labels
    }
    colours = class_colours(labels)
    for label in labels:
        names[-1 - label] = f'{names[label]}, ignored'
        colours[-1 - label] = _GREY
    return names, colours


def _shrink(
    image: FedImage, width: int
) -> tuple[np.ndarray, list[Instance], float]:
    """Bring a larger image to the width it is shown at, to save time."""
    height, own = image.pixels.shape[:2]
    factor = min(1.0, width / own)
    if factor == 1:
        return image.pixels, image.instances, 1.0
    size = round(own * factor), round(height * factor)
    pixels = Image.fromarray(image.pixels).resize(size, Image.Resampling.BOX)
    instances = [
        Instance(
            instance.category_id,
            tuple(edge * factor for edge in instance.box),
            None
            if instance.mask is None
            else np.asarray(Image.fromarray(instance.mask).resize(size, 0)),
        )
        for instance in image.instances
    ]
    return np.asarray(pixels), instances, factor
