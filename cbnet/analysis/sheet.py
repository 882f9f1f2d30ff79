"""Draw a sheet: ground truth on the left, detections on the right."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.structures import InstanceData

from ..datasets.annotations import CocoAnnotations, Instance
from ..datasets.checked_images import CheckedLoadImageFromFile
from ..datasets.results import CocoResults
from ..errors import UserValueError
from .drawing import draw_instances
from .image_grid import image_grid


def detection_sheet(
    ann_file: str | os.PathLike,
    image_dir: str | os.PathLike,
    results: Iterable[dict],
    out_file: str | os.PathLike,
    score_thr: float = 0.5,
    num_images: int = 6,
    image_ids: Sequence[int] | None = None,
    column_width: int = 560,
    images_per_row: int = 1,
) -> Path:
    """Draw the annotations of images beside their detections.

    Args:
        ann_file: the COCO annotations of the images.
        image_dir: the folder that the annotations' file names are relative
            to.
        results: the detections in COCO's results format, see
            :func:`cbnet.datasets.results.read_results`.
        out_file: the PNG or JPEG file to write; its folder is made if it is
            missing.
        score_thr: the lowest score of a detection that is drawn.
        num_images: the number of images to show, picked evenly from all.
        image_ids: the images to show instead of an even pick.
        column_width: the width of each image on the sheet, in pixels.
        images_per_row: the number of images in a row, each shown twice.

    Returns:
        The file written.

    Raises:
        UserError: a file is missing, cut short or of another kind, an id is
            unknown, or an argument is out of range.
    """
    out_file = Path(out_file)
    is_image = out_file.suffix.lower() in ('.png', '.jpg', '.jpeg')
    for name, value, right, wanted in (
        ('score_thr', score_thr, 0 <= score_thr <= 1, 'in [0, 1]'),
        ('num_images', num_images, num_images > 0, '1 or more'),
        ('column_width', column_width, column_width >= 200, '200 or more'),
        ('images_per_row', images_per_row, images_per_row > 0, '1 or more'),
        ('out_file', out_file, is_image, 'a .png or .jpg file'),
    ):
        if not right:
            raise UserValueError(f'{name} must be {wanted}, got {value}')
    annotations = CocoAnnotations(ann_file)
    detections = CocoResults(results, annotations)
    shown = pick_images(annotations, num_images, image_ids)
    images, captions = [], []
    for image_id in shown:
        truth = annotations.instances(image_id)
        found = detections.instances(image_id, score_thr)
        images += [
            draw_image(annotations, image_id, image_dir, one, column_width)
            for one in (truth, found)
        ]
        name = annotations.images[image_id]['file_name']
        captions += [
            f'{name}, ground truth: {len(truth)}',
            f'detections with a score from {score_thr:.2f}: {len(found)}',
        ]
    figure = image_grid(images, captions, 2 * images_per_row, column_width)
    out_file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out_file, pil_kwargs=dict(quality=85))  # for JPEG only
    print_log(f'Wrote {len(shown)} images to {out_file}', 'current')
    return out_file


def draw_image(
    annotations: CocoAnnotations,
    image_id: int,
    image_dir: str | os.PathLike,
    instances: list[Instance],
    width: int,
) -> np.ndarray:
    """Draw objects or detections over an image of an annotation file.

    Args:
        annotations: the annotations.
        image_id: the image.
        image_dir: the folder that file names are relative to.
        instances: what is drawn.
        width: the width of the drawing in pixels.

    Returns:
        The drawing, RGB uint8 of shape (H, W, 3).

    Raises:
        ValueError: the image is not there, or of another size.
    """
    categories = sorted(annotations.categories)
    classes = [annotations.categories[category] for category in categories]
    pixels = _read_image(annotations.images[image_id], Path(image_dir))
    joined = _joined(instances, categories)
    return draw_instances(pixels, joined, classes, width)


def _joined(instances: list[Instance], categories: list[int]) -> InstanceData:
    """Join the objects of an image that have a box, and their masks."""
    instances = [one for one in instances if one.box is not None]
    boxes = torch.tensor([one.box for one in instances]).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    labels = [categories.index(one.category_id) for one in instances]
    joined = InstanceData(bboxes=boxes, labels=torch.tensor(labels))
    masks = [one.mask for one in instances]
    shapes = [mask.shape for mask in masks if mask is not None]
    if shapes:
        empty = np.zeros(shapes[0], bool)
        joined.masks = np.stack([empty if m is None else m for m in masks])
    if instances and instances[0].score is not None:
        joined.scores = torch.tensor([one.score for one in instances])
    return joined


def pick_images(
    annotations: CocoAnnotations,
    num_images: int,
    image_ids: Sequence[int] | None = None,
) -> list[int]:
    """Return the ids of images: an even pick, or those that were asked for.

    Raises:
        ValueError: there are no images, or one of the ids is unknown.
    """
    if not annotations.images:
        raise UserValueError(f'{annotations.path} lists no images')
    if image_ids is None:
        known = sorted(annotations.images)
        places = np.linspace(0, len(known) - 1, min(num_images, len(known)))
        return [known[place] for place in np.rint(places).astype(int)]
    if not image_ids:
        raise UserValueError('image_ids is empty: name an image, or pass None')
    unknown = [i for i in image_ids if i not in annotations.images]
    if unknown:
        raise UserValueError(
            f'image_ids {unknown} are not among the images of '
            f'{annotations.path}'
        )
    return list(image_ids)


def _read_image(image: dict, image_dir: Path) -> np.ndarray:
    path = image_dir / image['file_name']
    if not path.is_file():
        raise UserValueError(
            f'{path} is not a file: image_dir must be the folder that the '
            "annotations' file names are relative to"
        )
    # Annotations refer to the stored pixels, whatever the camera's rotation.
    load = CheckedLoadImageFromFile(color_type='color_ignore_orientation')
    pixels = load(dict(img_path=path))['img'][..., ::-1]
    height, width = pixels.shape[:2]
    if (height, width) != (image['height'], image['width']):
        raise UserValueError(
            f'{path} is {width}x{height} pixels, but its annotations are for '
            f'{image["width"]}x{image["height"]}'
        )
    return pixels
