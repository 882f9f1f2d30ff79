"""Draw the images that a detector is fed: all in one figure, or one each."""

from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure

from .drawing import draw_instances
from .fed_images import FedImage
from .image_grid import image_grid


def contact_sheet(
    images: Sequence[FedImage],
    classes: Sequence[str],
    heading: Sequence[str],
    columns: int = 4,
    width: int = 420,
) -> Figure:
    """Draw fed images with their ground truth, each ``width`` pixels wide."""
    drawn = [
        draw_instances(image.pixels, image.instances, classes, width)
        for image in images
    ]
    captions = [
        f'{image.name}, instead of {image.instead_of}\n{image.details}'
        if image.instead_of
        else f'{image.name}\n{image.details}'
        for image in images
    ]
    figure = image_grid(drawn, captions, columns, width, heading)
    for image, axes in zip(images, figure.axes, strict=True):
        if image.content != image.pixels.shape[:2]:
            scale = width / image.pixels.shape[1]
            bottom, right = (side * scale for side in image.content)
            edge = dict(color='white', lw=1, ls=(0, (4, 3)))
            axes.plot([0, right, right], [bottom, bottom, 0], **edge)
    return figure


def single_images(
    images: Sequence[FedImage],
    classes: Sequence[str],
    heading: Sequence[str],
) -> Iterator[Figure]:
    """Draw each fed image at its own size, and enlarge small ones."""
    for image in images:
        width = min(max(image.pixels.shape[1], 640), 1600)
        yield contact_sheet([image], classes, heading, 1, width)
