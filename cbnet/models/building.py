"""Build a model from its config without memory or weights: does it fit?"""

from copy import deepcopy
from typing import Any

from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from torch import nn

from ..errors import UserValueError
from ..messages import one_line
from .meta import on_meta


def build_without_weights(
    cfg: Config, part: ConfigDict | None = None
) -> nn.Module:
    """Build ``cfg.model``, or a part of it, on the meta device.

    No pretrained file is read.
    A constructor that looks at numbers cannot run there; such a model is
    built in memory.

    Args:
        cfg: a whole config, for its scope.
        part: of its model; None: the whole model.

    Raises:
        ValueError: where the model does not build, with the reason.
    """
    scope = cfg.get('default_scope') or 'mmdet'
    with DefaultScope.overwrite_default_scope(scope):
        try:
            return _build_on_meta(part or cfg.model)
        # Third parties' constructors raise what they like.
        except Exception as error:
            raise UserValueError(one_line(error)) from error


def _build_on_meta(cfg: ConfigDict) -> nn.Module:
    # Constructors may change the config they are given: each gets a copy.
    try:
        with on_meta():
            return MODELS.build(_without_groups(deepcopy(cfg)))
    except (NotImplementedError, RuntimeError, TypeError) as error:
        if 'meta' not in str(error):
            raise
    return MODELS.build(_without_groups(deepcopy(cfg)))


def _without_groups(value: Any) -> Any:
    """Put BN where mmcv's own SyncBN wants a process group to be built."""
    if isinstance(value, list | tuple):
        for part in value:
            _without_groups(part)
    elif isinstance(value, dict):
        if value.get('type') == 'MMSyncBN':
            value['type'] = 'BN'
        for part in value.values():
            _without_groups(part)
    return value
