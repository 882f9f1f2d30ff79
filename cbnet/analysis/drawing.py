"""Draw boxes, masks and labels over an image with mmdet's visualizer."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import mmcv
import numpy as np
import torch
from matplotlib import colormaps
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmdet.visualization.palette import get_palette
from mmengine.structures import InstanceData

from .visualizing import PlainTextVisualizer

Colour = tuple[int, int, int]

_GREY = (140, 140, 140)
# Labels have a size in points. A large image gets more pixels for each point,
# and a small image is enlarged, so that the labels stay readable.
_INCHES, _LEAST_DPI, _LEAST_SIDE = 10, 120, 640


def class_colours(number: int) -> list[Colour]:
    """Give each of a number of classes its own colour, RGB in [0, 255]."""
    if number <= 10:
        colours = np.rint(np.multiply(colormaps['tab10'].colors, 255))
        return [tuple(map(int, colour)) for colour in colours[:number]]
    return get_palette('random', number)


def draw_instances(
    pixels: np.ndarray,
    instances: InstanceData,
    classes: Sequence[str],
    width: int | None = None,
) -> np.ndarray:
    """Draw the masks, boxes, labels and scores of objects over an image.

    The colours tell the classes apart. If there is only one class, they tell
    the objects apart. Ignored objects are grey.

    Args:
        pixels: the image, RGB uint8 of shape (H, W, 3).
        instances: the objects, the most important one first: ``bboxes``
            (n, 4) as xyxy in pixels of the image, ``labels`` (n,), and
            optionally ``masks`` (n, H, W), ``scores`` (n,) and ``ignored``
            (n,).
        classes: the names of the labels.
        width: the width to draw at, in pixels; None keeps the image's own
            size, but enlarges images of less than 640 pixels.

    Returns:
        The drawn image, RGB uint8.
    """
    if width is None:
        scale = max(1.0, _LEAST_SIDE / max(pixels.shape[:2]))
    else:
        scale = width / pixels.shape[1]
    pixels, instances = _resized(pixels, instances, scale)
    names, colours = _looks(instances, classes)
    visualizer = PlainTextVisualizer(
        text_color=(255, 255, 255), line_width=2, alpha=0.65
    )
    visualizer.dpi = max(_LEAST_DPI, max(pixels.shape[:2]) / _INCHES)
    visualizer.fig_save.set_dpi(visualizer.dpi)
    # Each object is a class of its own, with its own text and colour.
    instances.labels = torch.arange(len(names))
    visualizer.dataset_meta = dict(classes=names, palette=colours or [_GREY])
    # The reverse order draws the most important object on top.
    sample = DetDataSample(gt_instances=instances[instances.labels.flip(0)])
    with _quiet_and_repeatable():
        visualizer.add_datasample('', pixels, sample, draw_pred=False)
    return visualizer.get_image()


def _resized(
    pixels: np.ndarray, instances: InstanceData, scale: float
) -> tuple[np.ndarray, InstanceData]:
    """Resize an image and its objects, without those outside the image."""
    height, width = pixels.shape[:2]
    boxes = HorizontalBoxes(instances.bboxes, torch.float32)
    boxes.clip_((height, width))
    instances = instances.clone()
    instances.bboxes = scale * boxes.tensor
    instances = instances[(boxes.widths > 0) & (boxes.heights > 0)]
    if scale != 1:
        size = round(width * scale), round(height * scale)
        how = 'area' if scale < 1 else 'bicubic'
        pixels = mmcv.imresize(pixels, size, interpolation=how)
        if 'masks' in instances:
            masks = np.asarray(instances.masks, np.uint8)
            masks = BitmapMasks(masks, height, width).resize(size[::-1])
            instances.masks = masks.to_ndarray()
    return pixels, instances


def _looks(
    instances: InstanceData, classes: Sequence[str]
) -> tuple[list[str], list[Colour]]:
    """Return the text and the colour of each object."""
    labels = instances.labels.tolist()
    names = [classes[i] if i < len(classes) else f'label {i}' for i in labels]
    if len(classes) == 1:
        colours = class_colours(len(labels))
    else:
        palette = class_colours(max(len(classes), *(i + 1 for i in labels), 1))
        colours = [palette[i] for i in labels]
    ignored = instances.get('ignored', torch.zeros(len(labels)))
    for i in ignored.nonzero().flatten().tolist():
        names[i] += ', ignored'
        colours[i] = _GREY
    return names, colours


@contextmanager
def _quiet_and_repeatable() -> Iterator[None]:
    """Silence the visualizer's warnings, and fix the colours it varies."""
    state = np.random.get_state()
    np.random.seed(0)
    try:
        with warnings.catch_warnings():
            # It warns of labels that leave the image, and of NumPy 2.
            warnings.simplefilter('ignore')
            yield
    finally:
        np.random.set_state(state)
