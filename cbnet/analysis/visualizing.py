"""mmdet's visualizer and its hook, for any class names and any pipeline."""

import logging
import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmdet.engine.hooks import DetVisualizationHook
from mmdet.registry import HOOKS, VISUALIZERS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import get_box_tensor
from mmdet.structures.mask import PolygonMasks
from mmdet.visualization import DetLocalVisualizer
from mmengine.logging import print_log
from mmengine.runner import Runner

from ..arguments import validated
from ..compat.mmengine_internals import replace_registered
from ..datasets.walking import innermost_datasets, walk_dicts
from ..messages import one_line
from .plain_texts import show_plainly


@validated
class PlainTextVisualizer(DetLocalVisualizer):
    """mmdet's ``DetLocalVisualizer``, which shows names as they are written.

    A ``$`` in the name of a class does not begin a formula, and characters
    that the default font does not have come from another installed font.
    """

    def draw_texts(self, *args: Any, **options: Any) -> 'PlainTextVisualizer':
        """Draw texts, with the arguments of mmengine's visualizer."""
        before = len(self.ax_save.texts)
        super().draw_texts(*args, **options)
        show_plainly(self.ax_save.texts[before:])
        return self

    def get_image(self) -> np.ndarray:
        """Return the drawn image, RGB uint8 (H, W, 3)."""
        with warnings.catch_warnings():
            # A line tells of missing characters already.
            warnings.filterwarnings('ignore', 'Glyph .* missing from font')
            return super().get_image()


@validated
class EveryImageVisualizationHook(DetVisualizationHook):
    """mmdet's ``DetVisualizationHook``, with a figure for every test image.

    The figures have the names of the images below the folder of the data
    set, so that images of equal names in several folders keep their own.  The
    ground truth is drawn on the image as it is in the file, also where the
    test pipeline resizes it.  What cannot be drawn is named in the log, and
    the evaluation goes on.
    """

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[DetDataSample],
    ) -> None:
        """Draw the images of a batch."""
        resized = _resizes_truth(runner.cfg.get('test_dataloader'))
        folder = self.test_out_dir
        root = _common_folder(runner.test_dataloader.dataset)
        for sample in outputs:
            path = sample.img_path
            if folder is not None:
                below = os.path.dirname(_below(root, path))
                self.test_out_dir = os.path.join(folder, below)
            try:
                one = in_pixels_of_the_file(sample) if resized else sample
                super().after_test_iter(runner, batch_idx, data_batch, [one])
            except Exception as error:  # drawing fails in many ways
                print_log(
                    f'{path}: its figure cannot be drawn: {one_line(error)}',
                    'current',
                    logging.WARNING,
                )
            finally:
                self.test_out_dir = folder

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[DetDataSample],
    ) -> None:
        """Draw the first image of some batches."""
        if self.draw and _resizes_truth(runner.cfg.get('val_dataloader')):
            outputs = [in_pixels_of_the_file(outputs[0])]
        super().after_val_iter(runner, batch_idx, data_batch, outputs)


def in_pixels_of_the_file(sample: DetDataSample) -> DetDataSample:
    """Undo the resizing of a sample's ground truth, and its padding.

    Args:
        sample: a sample of a pipeline that loads the annotations before it
            resizes the image: with ``ori_shape`` (H, W) and ``scale_factor``
            (width, height).

    Returns:
        A sample with the same predictions.
    """
    truth = sample.get('gt_instances')
    if truth is None or 'scale_factor' not in sample:
        return sample
    sample, truth = sample.clone(), truth.clone()
    width, height = sample.scale_factor
    if 'bboxes' in truth:
        boxes = get_box_tensor(truth.bboxes)
        truth.bboxes = boxes / boxes.new_tensor([width, height] * 2)
    if 'masks' in truth and len(truth):
        rows, columns = sample.ori_shape[:2]
        size = round(rows * height), round(columns * width)
        masks = truth.masks
        if isinstance(masks, PolygonMasks):
            masks = PolygonMasks(masks.masks, *size)
        else:
            masks = masks.crop(np.array([0, 0, *size[::-1]]))
        truth.masks = masks.resize((rows, columns))
    sample.gt_instances = truth
    return sample


def _resizes_truth(loader: dict[str, Any]) -> bool:
    """Tell whether a pipeline resizes after it has loaded annotations."""
    names = [str(part.get('type')) for part in walk_dicts(loader)]
    loading = (i for i, name in enumerate(names) if 'LoadAnnotations' in name)
    after = names[next(loading, len(names)) :]
    return any('Resize' in name for name in after)


def _common_folder(dataset: Any) -> str:
    """Give the folder that contains the images of all parts of a data set."""
    prefixes = [
        getattr(one, 'data_prefix', {}).get('img') or '.'
        for one in innermost_datasets(dataset)
    ]
    return os.path.commonpath([os.path.abspath(p) for p in prefixes])


def _below(root: str, path: str) -> str:
    inside = os.path.relpath(os.path.abspath(path), root)
    outside = inside.startswith(os.pardir) or '://' in path
    return os.path.basename(path) if outside else inside


def use_plain_texts() -> None:
    """Let every visualizer and hook that is built from now on be these."""
    replace_registered(VISUALIZERS, 'DetLocalVisualizer', PlainTextVisualizer)
    replace_registered(
        HOOKS, 'DetVisualizationHook', EveryImageVisualizationHook
    )
