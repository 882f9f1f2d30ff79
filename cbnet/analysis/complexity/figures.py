"""The cost of a detector, part by part."""

from dataclasses import asdict, astuple, dataclass, field
from typing import Any

from .passes import RoIs


@dataclass
class Part:
    """The exact cost of one part of a detector; None if it is not counted.

    Attributes:
        parameters: the number of parameters.
        trainable: the number of parameters that training may change.
        macs: the multiply-accumulates of inference on one image.
        published: the same by the rule of the published figures.
        training: the multiply-accumulates of the forward pass of training.
        assistance: the share of ``training`` that assistance adds.
    """

    parameters: int = 0
    trainable: int = 0
    macs: int | None = 0
    published: int | None = 0
    training: int | None = 0
    assistance: int | None = 0


@dataclass
class Complexity:
    """The cost of a detector for one image.

    Attributes:
        shape: the (H, W) of the image as the model sees it, in pixels.
        parts: the cost of each part, in the order in which they run.
        kinds: the multiply-accumulates of inference by kind of operation.
        assistants: the number of assistants that have losses.
        inference_rois: the RoIs of each stage in inference.
        training_rois: the RoIs of each stage in one loss pass.
        uncounted: the parts that do not run without data, with the reason;
            later parts and training are not counted either.
    """

    shape: tuple[int, int]
    parts: dict[str, Part] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    assistants: int = 0
    inference_rois: list[RoIs] = field(default_factory=list)
    training_rois: list[RoIs] = field(default_factory=list)
    uncounted: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> Part:
        """The sum over the parts; None in columns that lack a part."""
        columns = zip(*map(astuple, self.parts.values()), strict=True)
        return Part(*(None if None in c else sum(c) for c in columns))

    def as_json(self) -> dict[str, Any]:
        """Return everything as numbers, texts, lists and dictionaries."""
        parts = [{'name': n} | asdict(part) for n, part in self.parts.items()]
        return asdict(self) | dict(parts=parts, total=asdict(self.total))
