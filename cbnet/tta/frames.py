"""The place of an image in a view: how it was resized and flipped."""

from typing import NamedTuple

from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_flip
from torch import Tensor

from ..errors import UserValueError

_NEEDED = ('ori_shape', 'scale_factor', 'flip', 'flip_direction')
_DIMENSIONS = {'horizontal': (-1,), 'vertical': (-2,), 'diagonal': (-1, -2)}


class Frame(NamedTuple):
    """The place of one image in one view.

    Attributes:
        size: the (H, W) of the resized image, without padding.
        scale: the factors (width, height) from the image to the resized one.
        flip: the direction of the flip, or None.
    """

    size: tuple[int, int]
    scale: tuple[float, float]
    flip: str | None = None

    def move(self, boxes: Tensor, target: 'Frame') -> Tensor:
        """Map boxes (n, 4 k), xyxy, to another view of the same image."""
        if self == target:  # so that nothing is rounded
            return boxes
        if self.flip:
            boxes = bbox_flip(boxes, self.size, self.flip)
        ratio = [t / s for t, s in zip(target.scale, self.scale, strict=True)]
        boxes = boxes * boxes.new_tensor(ratio).repeat(boxes.shape[-1] // 2)
        if target.flip:
            boxes = bbox_flip(boxes, target.size, target.flip)
        return boxes

    def unflip(self, maps: Tensor) -> Tensor:
        """Undo the flip of maps (..., H, W) of this view."""
        return maps.flip(_DIMENSIONS[self.flip]) if self.flip else maps


def frame_of(sample: DetDataSample) -> Frame:
    """Read the place of an image in a view from its metainfo."""
    meta = sample.metainfo
    missing = [key for key in _NEEDED if key not in meta]
    if missing:
        raise UserValueError(
            f'test-time augmentation needs {", ".join(missing)} in the '
            f'metainfo of every view, and the pipeline does not pass it on; '
            f'give every view a Resize and a RandomFlip (prob=0.0 or 1.0), '
            f'and list {", ".join(_NEEDED)} in meta_keys of PackDetInputs'
        )
    height, width = meta['ori_shape'][:2]
    scale = tuple(meta['scale_factor'][:2])
    # A Pad in the pipeline enlarges img_shape, but flips come before it.
    size = (round(height * scale[1]), round(width * scale[0]))
    return Frame(size, scale, meta['flip_direction'] if meta['flip'] else None)


def hide_flip(sample: DetDataSample) -> DetDataSample:
    """Copy a sample, sharing its contents, and mark it as not flipped.

    Some RoI heads of mmdet undo a flip of their masks, others do not.
    """
    hidden = sample.new()
    hidden.set_metainfo(dict(flip=False, flip_direction=None))
    return hidden
