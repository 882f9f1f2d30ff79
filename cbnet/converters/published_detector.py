"""Convert the file of a published detector for one of our configs."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import Tensor

from ..checkpoints.fit import load_strictly
from ..checkpoints.weight_files import find_weights, kept_meta
from ..models.building import build_without_weights
from .published_models import PublishedModel, recognise
from .published_weights import Conversion, convert_with_report


def published_weights(
    file: Mapping[str, Any],
) -> tuple[dict[str, Tensor], PublishedModel]:
    """Take the weights out of a file and recognise their model.

    Args:
        file: the weights, or ``state_dict`` beside ``meta`` and others.

    Returns:
        The weights under their published names, with the prefix
        ``backbone.`` if the file holds only a backbone; and the model.

    Raises:
        ValueError: the file holds no published composite.
    """
    weights = find_weights(file)
    model = recognise(weights)
    if model.detector is None:
        weights = {
            f'backbone.{name.removeprefix("backbone.")}': weight
            for name, weight in weights.items()
        }
    return weights, model


def convert_detector(
    file: Mapping[str, Any], cfg: Config, config: str, source: Path
) -> tuple[Conversion, dict[str, Any]]:
    """Convert a published file and load it strictly into a config's model.

    Args:
        file: the result of ``read_file``.
        cfg: the whole config; if the file holds only a backbone, it is
            compared with the config's backbone.
        config: the name of the config, for errors and the meta.
        source: the path of the file, for the meta.

    Returns:
        The weights in the order and with the data types of the model; and
        the meta: the source, the model and the names of the classes.

    Raises:
        ValueError: the file holds no published composite, or does not fit.
    """
    weights, found = published_weights(file)
    done = convert_with_report(weights)
    alone = found.detector is None
    model = build_without_weights(cfg, cfg.model.backbone if alone else None)
    loaded = load_strictly(
        done.weights, model, config, 'backbone.' if alone else ''
    )
    meta = kept_meta(file, source)
    meta |= dict(model=str(found), config=Path(config).name)
    return replace(done, weights=loaded), meta
