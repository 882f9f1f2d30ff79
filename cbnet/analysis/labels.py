"""Labels on a picture: inside it, and beside rather than over each other."""

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox, IdentityTransform

_FONT_SIZE = 8.5
# Space around the letters, in pixels.
_PAD = 3


class LabelPlacer:
    """Puts one label at each box of a picture.

    A label goes to the corner of its box where it covers the least of the
    labels before it.  Everything is reckoned in pixels of the figure, so
    the axes must have their final limits, and the figure's resolution must
    not change any more.

    Args:
        axes: The picture, its y axis downwards.
    """

    def __init__(self, axes: Axes):
        self._axes = axes
        axes.apply_aspect()
        self._frame = axes.get_window_extent()
        self._renderer = axes.figure.canvas.get_renderer()
        # Matplotlib counts it in heights of the font.
        self._pad = _PAD / (_FONT_SIZE * axes.figure.dpi / 72)
        self._taken: list[Bbox] = []

    def add(
        self,
        text: str,
        box: tuple[float, float, float, float],
        colour: tuple[float, float, float],
    ) -> Bbox:
        """Draw a label.

        Args:
            text: What it says.
            box: xywh of the object, in pixels of the picture.
            colour: RGB in [0, 1] of the label's ground.

        Returns:
            Where the label lies, in pixels of the figure.
        """
        label = self._axes.text(
            0,
            0,
            text,
            transform=IdentityTransform(),
            size=_FONT_SIZE,
            color='white' if _luminance(colour) < 0.55 else 'black',
            va='bottom',
            ha='left',
            bbox={
                'facecolor': colour,
                'edgecolor': 'none',
                'boxstyle': f'square,pad={self._pad}',
            },
        )
        extent = label.get_window_extent(self._renderer)
        width, height = extent.width + 2 * _PAD, extent.height + 2 * _PAD
        places = [
            self._inside(x, y, width, height)
            for x, y in self._corners(box, width, height)
        ]
        place = min(places, key=self._covered)
        label.set_position((place.x0 + _PAD, place.y0 + _PAD))
        self._taken.append(place)
        return place

    def _corners(
        self,
        box: tuple[float, float, float, float],
        width: float,
        height: float,
    ) -> list[tuple[float, float]]:
        """Lower left corners to try, the preferred ones first."""
        x, y, w, h = box
        (left, top), (right, bottom) = self._axes.transData.transform(
            [(x, y), (x + w, y + h)]
        )
        columns = left, right - width
        levels = top, bottom - height, top - height, bottom
        return [(column, level) for level in levels for column in columns]

    def _inside(self, x: float, y: float, width: float, height: float) -> Bbox:
        frame = self._frame
        x = max(frame.x0, min(x, frame.x1 - width))
        y = max(frame.y0, min(y, frame.y1 - height))
        return Bbox.from_bounds(x, y, width, height)

    def _covered(self, place: Bbox) -> float:
        shared = (Bbox.intersection(place, other) for other in self._taken)
        return sum(s.width * s.height for s in shared if s is not None)


def _luminance(colour: tuple[float, float, float]) -> float:
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue
