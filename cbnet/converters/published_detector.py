"""A published detector's file, converted for one of the configs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import Tensor

from ..checkpoints.strict_fit import fit_strictly
from ..checkpoints.weight_files import find_weights, kept_meta
from ..models.building import build_without_weights
from .published_models import OfficialModel, recognise
from .published_weights import convert_with_report


@dataclass
class ConvertedDetector:
    """A checkpoint under our names that fits a config.

    Args:
        weights: our names to tensors.
        meta: where they come from, and the names of the classes.
        dropped: published names of entries that nothing ever reads.
        permuted: published names of entries whose numbers changed places.
    """

    weights: dict[str, Tensor]
    meta: dict[str, Any]
    dropped: list[str]
    permuted: list[str]


def published_weights(
    file: Mapping[str, Any],
) -> tuple[dict[str, Tensor], OfficialModel]:
    """Take the weights out of a file and tell which model they are.

    Args:
        file: weights, or ``state_dict`` beside ``meta``, ``optimizer``, ...

    Returns:
        Published names to tensors, those of a lone backbone with the prefix
        ``backbone.``; and what was recognised.

    Raises:
        ValueError: where it is no published composite.
    """
    weights = find_weights(file)
    found = recognise(weights)
    if found.detector is None:
        weights = {
            name if name.startswith('backbone.') else f'backbone.{name}': w
            for name, w in weights.items()
        }
    return weights, found


def convert_detector(
    file: Mapping[str, Any], cfg: Config, config: str, source: Path
) -> ConvertedDetector:
    """Convert a published file and load it strictly into a config's model.

    Args:
        file: what ``read_file`` gave.
        cfg: a whole config; of a lone backbone's file its backbone counts.
        config: how errors and ``meta`` call it.
        source: path of the file, for ``meta``.

    Raises:
        ValueError: where it is no published composite, or does not fit.
    """
    weights, found = published_weights(file)
    converted = convert_with_report(weights)
    alone = found.detector is None
    model = build_without_weights(cfg, cfg.model.backbone if alone else None)
    fitted = fit_strictly(
        converted.weights, model, config, 'backbone.' if alone else ''
    )
    meta = kept_meta(file, source) | dict(
        model=str(found), config=Path(config).name
    )
    return ConvertedDetector(
        fitted, meta, converted.dropped, converted.permuted
    )
