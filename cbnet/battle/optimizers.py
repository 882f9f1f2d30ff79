"""The optimizer of an entry, as its training builds it."""

from copy import deepcopy

from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import nn

from ..engine.mixed_precision import choose_precision
from ..quiet import quiet_log


def build_optimizer(model: nn.Module, cfg: Config) -> OptimWrapper:
    """Build the optimizer of a config, without the list of all parameters.

    Args:
        model: the model whose parameters it changes.
        cfg: the config.
    """
    scope = cfg.get('default_scope', 'mmdet')
    cfg = Config(dict(optim_wrapper=deepcopy(cfg.optim_wrapper)))
    choose_precision(cfg)
    # mmengine warns about each rate that no parameter has.
    with DefaultScope.overwrite_default_scope(scope), quiet_log('ERROR'):
        return build_optim_wrapper(model, cfg.optim_wrapper)
