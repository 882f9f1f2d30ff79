"""The state of a migration, which all sections of a config share."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class State:
    """The report, and settings that one section takes from another.

    Attributes:
        report: the lines for the user.
        data_root: the folder that the config's paths begin with, if any.
        by_epoch: whether training is counted in epochs, not in iterations.
        length: the number of epochs or iterations, if known.
        normalize: the settings of ``Normalize``, which 3.x has in the model.
        pad_size_divisor: the divisor of the sides of padded images.
        with_mask: whether a pipeline loads masks.
        with_seg: whether a pipeline loads semantic maps.
        seg_scale: the scale of semantic maps, which 3.x has in their head.
    """

    report: list[str] = field(default_factory=list)
    data_root: str | None = None
    by_epoch: bool = True
    length: int | None = None
    normalize: dict[str, Any] | None = None
    pad_size_divisor: int = 1
    with_mask: bool = False
    with_seg: bool = False
    seg_scale: float | None = None

    def preprocessor(self) -> dict[str, Any]:
        """Return the config of the data preprocessor."""
        preprocessor = dict(
            type='DetDataPreprocessor',
            **(self.normalize or {}),
            pad_size_divisor=self.pad_size_divisor,
        )
        if self.with_mask:
            preprocessor['pad_mask'] = True
        if self.with_seg:
            # Deviation: semantic maps of HTC.  Padded with 0, which is a
            # class, as published and in mmdet 2.x.
            preprocessor.update(pad_seg=True, seg_pad_value=0)
        return preprocessor
