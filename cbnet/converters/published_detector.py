"""Convert the file of a published detector for one of our configs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mmengine.config import Config
from torch import Tensor

from ..checkpoints.fit import load_strictly
from ..checkpoints.weight_files import find_weights
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
    weights: Mapping[str, Tensor],
    found: PublishedModel,
    cfg: Config,
    config: str,
) -> Conversion:
    """Convert published weights and load them strictly into a config's model.

    Args:
        weights: the weights from ``published_weights``.
        found: their model; if it is only a backbone, it is compared with
            the config's backbone.
        cfg: the whole config.
        config: the name of the config, for errors.

    Returns:
        The weights in the order and with the data types of the model.

    Raises:
        ValueError: the weights do not fit the config.
    """
    done = convert_with_report(weights)
    alone = found.detector is None
    model = build_without_weights(cfg, cfg.model.backbone if alone else None)
    prefix = 'backbone.' if alone else ''
    loaded = load_strictly(done.weights, model, config, prefix)
    return replace(done, weights=loaded)
