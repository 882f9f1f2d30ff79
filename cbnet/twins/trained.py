"""A trained detector, before and after an assistant is added to it."""

import os
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config
from torch import Tensor

from ..checkpoints.weight_files import find_weights
from ..compat.mmengine_internals import base_files
from ..config_files import find_config, read_config
from ..engine.checkpoint_fit import check_fit
from ..errors import UserValueError
from ..models.backbones import CompositeBackbone
from ..models.building import build_without_weights
from ..models.members import MemberAdapter
from ..models.members.settings import has_settings
from ..type_names import type_name
from .fitting import adapted
from .places import find_detector

#: what the names of a composite's weights begin with
MEMBERS, CONNECTIONS = 'backbone.members.', 'backbone.connections.'


@dataclass(frozen=True)
class Detector:
    """A detector of one backbone, to which an assistant can be added.

    Attributes:
        name: the name of its config.
        cfg: its config.
        lead: the adapter of its backbone, on the meta device if possible.
        member: the backbone, without a file of weights, in the code of a
            config that inherits from this one.
        prefix: what the names of the backbone's weights begin with.
        fast: whether its backbone computes in the faster way of a composite.
    """

    name: str
    cfg: Config
    lead: MemberAdapter
    member: str
    prefix: str
    fast: bool


def read_detector(config: str) -> Detector:
    """Read the config of a detector whose backbone can be a member.

    Args:
        config: the config file of an mmdet detector, or of a composite with
            a single member.

    Raises:
        ValueError: there is no detector of one backbone, or its backbone
            cannot be a member; says why.
    """
    cfg = read_config(find_config(config), config)
    member, prefix = '_base_.model.backbone', 'backbone.'
    plain = deepcopy(cfg)
    own = (cfg.get('model') or {}).get('backbone') or {}
    if is_composite(own) and own.get('num_members') == 1:
        member, prefix = f'{member}.member', f'{MEMBERS}0.'
        plain.model.backbone = own.member
        if isinstance(own.member, list):
            member, plain.model.backbone = f'{member}[0]', own.member[0]
    find_detector(plain, config, 'model')
    lead = adapted(plain.model.backbone, config)
    inner = f'dict({member}.backbone, init_cfg=None)'
    code = f'dict({member}, init_cfg=None)'
    if has_settings(plain.model.backbone):
        code = f'dict({member}, backbone={inner})'
    fast = is_composite(own) and own.get('fast', True)
    return Detector(config, cfg, lead, code, prefix, fast)


def is_composite(backbone: Mapping[str, Any]) -> bool:
    """Tell whether the config of a backbone is that of a composite."""
    return type_name(backbone) == CompositeBackbone.__name__


def read_upgraded(config: str) -> tuple[Config, str]:
    """Read the config of an upgraded detector.

    Returns:
        The config, and the name of the one that was upgraded.

    Raises:
        ValueError: the config does not add an assistant to another one.
    """
    path = find_config(config)
    cfg = read_config(path, config)
    own = (cfg.get('model') or {}).get('backbone') or {}
    bases = base_files(path)
    if not is_composite(own) or len(bases) != 1:
        raise UserValueError(
            f'{config} is not the config of an upgraded detector; give one '
            f'that `cbnet upgrade` has written'
        )
    (base,) = bases
    if '::' not in base:
        base = os.path.relpath(path.parent / base)
    return cfg, base


def check_checkpoint(
    name: str, cfg: Config, file: Mapping[str, Any], source: str
) -> dict[str, Tensor]:
    """Return the weights of a checkpoint that fits a config.

    Args:
        name: the name of the config.
        cfg: the config.
        file: the content of the checkpoint.
        source: the name of the checkpoint.

    Raises:
        ValueError: the model does not build, or the file belongs to another
            config.
    """
    try:
        model = build_without_weights(cfg)
    except ValueError as error:
        raise UserValueError(f'{name}: {error}') from error
    check_fit(file, model, source, complete=True)
    return find_weights(file, source)
