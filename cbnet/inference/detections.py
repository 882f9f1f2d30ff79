"""Detections as instances, as COCO results and as a picture."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mmdet.structures import DetDataSample
from mmdet.structures.mask import encode_mask_results, mask2bbox

from ..analysis.panels import class_colours, draw_panel
from ..datasets.annotations import Instance

# Labels have a size in points; a large picture gets more pixels for each, a
# small one is enlarged.
_INCHES, _LEAST_DPI, _LEAST_SIDE = 10, 100, 640


def to_instances(
    prediction: DetDataSample, category_ids: Sequence[int]
) -> list[Instance]:
    """List an image's detections, the best first.

    Args:
        prediction: what the detector found, in pixels of the image.
        category_ids: the COCO category of each label.
    """
    found = prediction.pred_instances.cpu()
    boxes, masks = found.get('bboxes'), found.get('masks')
    if masks is not None and (boxes is None or not boxes.any()):
        boxes = mask2bbox(masks)  # detectors of masks alone
    boxes = boxes.numpy().astype(float)
    boxes[:, 2:] -= boxes[:, :2]
    return [
        Instance(
            category_id=category_ids[found.labels[i]],
            box=tuple(boxes[i].tolist()),
            mask=None if masks is None else np.asarray(masks[i], bool),
            score=float(found.scores[i]),
        )
        for i in found.scores.argsort(descending=True, stable=True).tolist()
    ]


def to_entries(image_id: int, instances: list[Instance]) -> list[dict]:
    """Write an image's detections as COCO results: boxes xywh, masks RLE."""
    entries = []
    for instance in instances:
        entry = dict(
            image_id=image_id,
            category_id=instance.category_id,
            bbox=list(instance.box),
            score=instance.score,
        )
        if instance.mask is not None:
            (rle,) = encode_mask_results([instance.mask])
            entry['segmentation'] = dict(
                size=rle['size'], counts=rle['counts'].decode()
            )
        entries.append(entry)
    return entries


def draw_detections(
    pixels: np.ndarray,
    instances: list[Instance],
    categories: dict[int, str],
) -> np.ndarray:
    """Draw masks, boxes, labels and scores over a picture.

    Colours tell classes apart; where there is one class only, objects.

    Args:
        pixels: RGB uint8 of shape (H, W, 3).
        instances: what to mark, the best first.
        categories: names of the categories by id.

    Returns:
        RGB uint8 of the picture's size; a picture of less than 640 pixels
        is enlarged, so that labels can be read.
    """
    if len(categories) == 1:
        (name,) = categories.values()
        categories = dict.fromkeys(range(len(instances)), name)
        instances = [
            replace(one, category_id=i) for i, one in enumerate(instances)
        ]
    longest = max(pixels.shape[:2])
    scale = max(1, _LEAST_SIDE / longest)
    height, width = (round(edge * scale) for edge in pixels.shape[:2])
    dpi = max(_LEAST_DPI, longest / _INCHES)
    # The canvas has the whole pixels of its inches; a bit more than n
    # pixels is n of them.
    figure = Figure(((width + 0.1) / dpi, (height + 0.1) / dpi), dpi)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    colours = class_colours(categories)
    draw_panel(axes, pixels, instances, categories, colours)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
