"""Which sizes of images a backbone accepts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import UserValueError
from ...messages import one_line

Size = tuple[int, int]

# Sides that are odd at some strides and even at others.
_ODD = (131, 163)


@dataclass(frozen=True)
class ImageSizes:
    """The sizes (H, W) of images that a backbone accepts, in pixels.

    Attributes:
        multiple: what both sides are padded to a multiple of.
        fixed: the only size; smaller images are padded to it.  None: any.
        probe: a small accepted size that is not square, if there is one.
    """

    multiple: int
    fixed: Size | None
    probe: Size

    def padded(self, size: Size, name: str) -> Size:
        """Tell the size that images of a size are padded to.

        Raises:
            ValueError: the images are larger than the only size.
        """
        if self.fixed is None:
            return _up(size[0], self.multiple), _up(size[1], self.multiple)
        if size[0] > self.fixed[0] or size[1] > self.fixed[1]:
            raise UserValueError(
                f'images of {size[0]}x{size[1]} pixels do not fit '
                f'model_name={name!r}, which was built for '
                f'{self.fixed[0]}x{self.fixed[1]}; give TimmBackbone '
                f'img_size=(HEIGHT, WIDTH), multiples of its stride and as '
                f'large as the largest images'
            )
        return self.fixed

    def __str__(self) -> str:
        """Say the sizes in a few words."""
        if self.fixed is not None:
            return f'padded to {self.fixed[0]}x{self.fixed[1]} pixels'
        multiple = f'padded to multiples of {self.multiple} pixels'
        return multiple if self.multiple > 1 else 'of any size'


def find_sizes(
    forward: Callable[[Tensor], Sequence[Tensor]],
    image: Callable[[Size], Tensor],
    native: Size,
    stride: int,
) -> ImageSizes:
    """Find out which sizes of images a backbone accepts, by trying.

    Args:
        forward: the backbone.
        image: makes an image of a size.
        native: the size that the backbone was built for.
        stride: the largest stride of its maps.

    Raises:
        ValueError: the backbone does not run on any image.
    """
    small = max(64, 2 * stride)
    # A strip is cheap and longer than the backbone's own size.
    trials = [
        (1, (small + 1, native[1] + 33), (small, small * 3 // 2)),
        (1, (129, native[1] + 33), (192, 288)),  # valid convolutions shrink
        (stride, (small, native[1] + 1), (small, small * 3 // 2)),
        (native[0], (native[0], native[1] + 1), (native[0], 2 * native[0])),
    ]
    for multiple, *sizes in trials:
        strip, probe = ((_up(h, multiple), _up(w, multiple)) for h, w in sizes)
        if probe[0] == probe[1]:
            probe = (probe[0], probe[1] + multiple)
        tried = [strip, _ODD] if multiple == 1 else [strip]
        if all(_try(forward, image(size)) is None for size in tried):
            return ImageSizes(multiple, None, probe)
    error = _try(forward, image(native))
    if error is None:
        return ImageSizes(1, native, native)
    if isinstance(error, NotImplementedError):
        raise error
    raise UserValueError(
        f'it does not run on an image of {native[0]}x{native[1]} pixels: '
        f'{one_line(error, 200)}'
    )


@torch.no_grad()
def _try(
    forward: Callable[[Tensor], Sequence[Tensor]], image: Tensor
) -> Exception | None:
    try:
        forward(image)
    except Exception as error:  # a model may raise anything
        return error
    return None


def _up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple
