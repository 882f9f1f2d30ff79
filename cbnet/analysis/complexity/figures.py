"""What a detector costs: the numbers of each part, and what they mean."""

from dataclasses import asdict, astuple, dataclass, field
from typing import Any

from .passes import RoIs


@dataclass
class Part:
    """The cost of one part of a detector; exact numbers.

    None where the part could not be counted.

    Attributes:
        parameters: numbers in its weights.
        trainable: those that training may change.
        macs: multiply-accumulates of inference on one image.
        published: the same by the rule of the published figures.
        training: multiply-accumulates of the forward pass of training.
        assistance: those of them that assistance adds.
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
        shape: (H, W) of the image as the model sees it.
        parts: name -> cost, in the order of the image's way.
        kinds: multiply-accumulates of inference by kind of operation.
        assistants: how many assistants have losses.
        inference_rois: RoIs of each stage in inference.
        training_rois: RoIs of each stage in one loss pass.
        uncounted: part that does not run without data -> the reason; what
            comes after it, and training, is not counted either.
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
        """The sum over the parts; None where one of them is."""
        return Part(
            *(
                None if None in column else sum(column)
                for column in zip(
                    *map(astuple, self.parts.values()), strict=True
                )
            )
        )

    def as_json(self) -> dict[str, Any]:
        """Give everything as numbers, texts, lists and dictionaries."""
        parts = [
            dict(name=name, **asdict(part))
            for name, part in self.parts.items()
        ]
        return {**asdict(self), 'parts': parts, 'total': asdict(self.total)}
