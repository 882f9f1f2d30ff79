"""What the hooks of a hooked member share: the run in progress."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from .base import MemberRun


@dataclass
class HookedRun(MemberRun):
    """A run of a hooked member.

    Attributes:
        add: what computes the map to add to the input of a stage.
        size: the (H, W) of the images, in pixels.
        padded: the (H, W) of the images that the backbone sees.
        first: the first member's run, if stages are shared with it.
        fired: how often each entry has fired.
        raw: the stage inputs as the modules speak them, by stage.
        returned: what modules returned that later members do not run.
    """

    add: Callable[[int, tuple[int, int]], Tensor | None] | None = None
    size: tuple[int, int] = (0, 0)
    padded: tuple[int, int] = (0, 0)
    first: MemberRun | None = None
    fired: dict[int, int] = field(default_factory=dict)
    raw: dict[int, Any] = field(default_factory=dict)
    returned: dict[str, Any] = field(default_factory=dict)

    def crop(self, x: Tensor, stride: int) -> Tensor:
        """Cut off what lies in the padding, if the images are padded."""
        return x if self.size == self.padded else crop(x, self.size, stride)


def crop(x: Tensor, size: tuple[int, int], stride: int) -> Tensor:
    """Cut the positions off a map that see no pixel of an image.

    Args:
        x: the map (B, C, H, W).
        size: the (H, W) of the image, in pixels.
        stride: the pixels per position.
    """
    rows, columns = (-(-side // stride) for side in size)
    return x[..., :rows, :columns]


class Channel:
    """Where the hooks of one member find the run in progress.

    A copy, or what is unpickled, is a channel without a run.

    Attributes:
        run: the run in progress; None between runs.
        shared_stages: the number of stages taken from the first member;
            None: not even the stem.
        same_kind: whether the first member speaks the same layouts.
        kept: what was added to each stage input, as long as that input
            lives.  Activation checkpointing calls modules again in the
            backward pass, after the run.
        recomputed: the stages that activation checkpointing calls again.
    """

    def __init__(
        self, shared_stages: int | None = None, same_kind: bool = False
    ) -> None:
        self.run: HookedRun | None = None
        self.shared_stages, self.same_kind = shared_stages, same_kind
        self.kept = WeakTensorKeyDictionary()
        self.recomputed: set[int] = set()

    def __reduce__(self) -> tuple:
        return Channel, (self.shared_stages, self.same_kind)
