"""One panel of a picture sheet: a picture with masks, boxes and labels."""

import colorsys
from collections.abc import Iterable

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ..datasets.annotations import Instance
from .labels import LabelPlacer

Colour = tuple[float, float, float]

_MASK_ALPHA = 0.5
# The part of a picture's own colour that is taken away under the masks, whose
# colours are to stand out.
_FADE = 0.7


def class_colours(category_ids: Iterable[int]) -> dict[int, Colour]:
    """Give every category a colour of its own, RGB in [0, 1].

    The colours depend on the categories alone, so that they are the same
    on every sheet of a data set.
    """
    ordered = sorted(category_ids)
    if len(ordered) <= 8:
        palette = colormaps['Set1'].colors[:8]
        return dict(zip(ordered, palette, strict=False))
    # Steps of the golden ratio keep neighbours apart for any number.
    return {
        category_id: colorsys.hsv_to_rgb(
            0.618034 * place % 1, 0.75, (0.95, 0.7)[place % 2]
        )
        for place, category_id in enumerate(ordered)
    }


def draw_panel(
    axes: Axes,
    pixels: np.ndarray,
    instances: list[Instance],
    categories: dict[int, str],
    colours: dict[int, Colour],
    fade: float = _FADE,
    mask_alpha: float = _MASK_ALPHA,
) -> None:
    """Show one picture with its masks, boxes and labels.

    Args:
        axes: Where to; the figure's size and resolution must be final.
        pixels: RGB uint8 of shape (H, W, 3).
        instances: What to mark, the most important first.
        categories: Names of the categories by id.
        colours: Colours of the categories by id.
        fade: The part of the picture's own colour that is taken away.
        mask_alpha: How much the masks cover.
    """
    height, width = pixels.shape[:2]
    # COCO counts from a pixel's corner, pictures here as well therefore.
    extent = (0, width, height, 0)
    grey = pixels.mean(axis=2, keepdims=True)
    faded = np.rint(pixels + fade * (grey - pixels)).astype(np.uint8)
    axes.imshow(faded, extent=extent, interpolation='bicubic')
    overlay = np.zeros((height, width, 4))
    # The best come first and are drawn last.
    for instance in reversed(instances):
        if instance.mask is not None:
            colour = colours[instance.category_id]
            overlay[instance.mask] = (*colour, mask_alpha)
    axes.imshow(overlay, extent=extent, interpolation='nearest')
    for instance in reversed(instances):
        colour = colours[instance.category_id]
        if instance.mask is not None and instance.mask.any():
            axes.contour(
                np.arange(-1, width + 1) + 0.5,
                np.arange(-1, height + 1) + 0.5,
                np.pad(instance.mask, 1).astype(float),
                levels=[0.5],
                colors=[colour],
                linewidths=1.2,
            )
        if instance.box is not None:
            x, y, w, h = instance.box
            # A light line under the coloured one shows on any ground.
            for line_width, edge in ((2.2, (1, 1, 1, 0.5)), (1.5, colour)):
                axes.add_patch(
                    Rectangle((x, y), w, h, fill=False, ec=edge, lw=line_width)
                )
    axes.set(xlim=(0, width), ylim=(height, 0), aspect='equal', anchor='C')
    axes.set_axis_off()
    placer = LabelPlacer(axes)
    for instance in instances:
        if instance.box is None:
            continue
        text = categories[instance.category_id]
        if instance.score is not None:
            text += f' {instance.score:.2f}'
        placer.add(text, instance.box, colours[instance.category_id])
