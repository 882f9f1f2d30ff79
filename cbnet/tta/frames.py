"""Where an image lies in a view of it: resized, perhaps flipped."""

from typing import NamedTuple

from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_flip
from torch import Tensor

from ..errors import UserValueError

_NEEDED = ('ori_shape', 'scale_factor', 'flip', 'flip_direction')
_DIMENSIONS = {'horizontal': (-1,), 'vertical': (-2,), 'diagonal': (-1, -2)}


class Frame(NamedTuple):
    """The place of one image in one view; boxes are in its pixels."""

    #: (H, W) of the resized image, without padding
    size: tuple[int, int]
    #: (width, height) of the resized image over those of the image
    scale: tuple[float, float]
    #: direction; None for a view that is not flipped
    flip: str | None = None

    def move(self, boxes: Tensor, target: 'Frame') -> Tensor:
        """Give boxes of this view in pixels of another view.

        Args:
            boxes: (n, 4 k), xyxy; class after class for k of them.
            target: the place of the same image in the other view.
        """
        if self == target:
            return boxes
        if self.flip:
            boxes = bbox_flip(boxes, self.size, self.flip)
        ratio = [t / s for t, s in zip(target.scale, self.scale, strict=True)]
        boxes = boxes * boxes.new_tensor(ratio).repeat(boxes.shape[-1] // 2)
        if target.flip:
            boxes = bbox_flip(boxes, target.size, target.flip)
        return boxes

    def unflip(self, maps: Tensor) -> Tensor:
        """Turn maps (..., H, W) of this view to where the image has them."""
        return maps.flip(_DIMENSIONS[self.flip]) if self.flip else maps


def frame_of(sample: DetDataSample) -> Frame:
    """Read the place of an image in a view from its metainfo.

    Raises:
        ValueError: what says how the view was made is not there.
    """
    meta = sample.metainfo
    missing = [key for key in _NEEDED if key not in meta]
    if missing:
        raise UserValueError(
            f'test-time augmentation needs {", ".join(missing)} of every '
            f'view, and the pipeline does not pass it on: give every view a '
            f'Resize and a RandomFlip (prob=0.0 or 1.0), and PackDetInputs '
            f'meta_keys that hold {", ".join(_NEEDED)}'
        )
    height, width = meta['ori_shape'][:2]
    scale = tuple(meta['scale_factor'][:2])
    # Not img_shape, which a Pad in the pipeline enlarges.
    size = (round(height * scale[1]), round(width * scale[0]))
    return Frame(size, scale, meta['flip_direction'] if meta['flip'] else None)


def hide_flip(sample: DetDataSample) -> DetDataSample:
    """Copy a sample as one that is not flipped, its contents shared.

    Some of mmdet's RoI heads undo a flip of their masks, others do not.
    """
    hidden = sample.new()
    hidden.set_metainfo(dict(flip=False, flip_direction=None))
    return hidden
