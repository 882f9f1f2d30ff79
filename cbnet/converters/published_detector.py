"""Convert the file of a published detector for one of our configs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mmengine.config import Config
from torch import Tensor, nn

from ..checkpoints.fit import load_strictly
from ..checkpoints.report import account
from ..checkpoints.weight_files import find_weights
from ..models.building import build_without_weights
from .published_models import PublishedModel, recognise
from .published_weights import Conversion, convert_published


def published_weights(
    file: Mapping[str, Any],
) -> tuple[dict[str, Tensor], PublishedModel]:
    """Take the weights out of a file and recognise their model.

    The names of a file that holds only a backbone get the prefix
    ``backbone.``.

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
    """Convert published weights for a config, whose model they must fit.

    A file that holds only a backbone is compared with the config's backbone.
    The result has the order and the data types of the config's model.

    Raises:
        ValueError: the weights do not fit the config.
    """
    done = convert_published(weights)
    if found.detector is None:
        backbone = build_without_weights(cfg, cfg.model.backbone)
        model = nn.ModuleDict(dict(backbone=backbone))
    else:
        model = build_without_weights(cfg)
    report = account(done.weights, model.state_dict(), 'the converted file')
    fitting = load_strictly(done.weights, model, config)
    return replace(done, weights=fitting, report=report)
