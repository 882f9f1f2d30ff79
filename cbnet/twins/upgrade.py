"""Add an assistant to a trained detector, or take it away again.

The connections of the new assistant add zero, so the detector still computes
what it computed before, and training goes on from there.
"""

import os
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from torch import Tensor, nn

from ..arguments import explained
from ..checkpoints.fit import NEEDLESS
from ..checkpoints.weight_files import find_weights
from ..compat.mmengine_internals import base_files
from ..config_files import check_new, find_config, read_config
from ..engine.checkpoint_fit import check_fit
from ..engine.verification import build_detector
from ..errors import UserValueError
from ..models.backbones import CompositeBackbone
from ..models.building import build_without_weights
from ..models.members import MemberAdapter
from ..pretrained import init_member
from .assistants import Assistant, adapted, fitted, preprocessing
from .compose import base_name, imports_line
from .needs import check_plain, leaves_unused

_MEMBERS = 'backbone.members.'
_CONNECTIONS = 'backbone.connections.'


@dataclass(frozen=True)
class UpgradeOptions:
    """How an assistant is added.

    Attributes:
        style: the style of the connections.
        train: whether the assistant is trained.
        scale: the factor by which the assistant's images are resized.
    """

    style: str = 'dhlc'
    train: bool = False
    scale: float | None = None


@dataclass(frozen=True)
class Detector:
    """A detector of one backbone, to which an assistant can be added.

    Attributes:
        name: the name of its config.
        cfg: its config.
        lead: the adapter of its backbone, on the meta device if possible.
        member: how a config that inherits from it calls the backbone.
        prefix: what the names of the backbone's weights begin with.
    """

    name: str
    cfg: Config
    lead: MemberAdapter
    member: str
    prefix: str


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
    if _is_composite(own) and own.get('num_members') == 1:
        member, prefix = f'{member}.member', f'{_MEMBERS}0.'
        plain.model.backbone = own.member
        if isinstance(own.member, list):
            member, plain.model.backbone = f'{member}[0]', own.member[0]
    check_plain(plain, config)
    lead = adapted(plain.model.backbone, config)
    return Detector(config, cfg, lead, member, prefix)


def _is_composite(backbone: Mapping[str, Any]) -> bool:
    kind = str(backbone.get('type')).rpartition('.')[2]
    return kind == CompositeBackbone.__name__


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
    if not _is_composite(own) or len(bases) != 1:
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


def write_config(
    detector: Detector,
    assistant: Assistant,
    out: Path,
    weights: Path,
    options: UpgradeOptions,
) -> tuple[Config, nn.Module]:
    """Write the config of an upgraded detector, of at most 20 lines.

    Args:
        detector: the detector.
        assistant: what is added to it.
        out: the file to write, which is removed if the model does not build.
        weights: the checkpoint that the config starts from, in the folder
            of ``out``.
        options: how it is added.

    Returns:
        The config as it was read back, and its model, on the CPU.

    Raises:
        ValueError: ``out`` exists, or the model does not build.
    """
    check_new(out)
    cfg = detector.cfg
    settings = dict(
        type='Member',
        backbone=fitted(assistant, detector.lead),
        frozen=not options.train,
        scale=options.scale,
        preprocess=preprocessing(
            assistant, cfg.model.get('data_preprocessor') or {}
        ),
    )
    member = {k: v for k, v in settings.items() if v not in (None, False)}
    base = base_name(detector.name, out)
    assisted = str(cfg.model.type).rpartition('.')[2] == 'AssistedDetector'
    assistance = '    assistance=dict(weights=[0.0]),\n' * assisted
    emitted = cfg.model.backbone.get('out_indices')
    if not _is_composite(cfg.model.backbone):
        emitted = None
    emission = '' if emitted is None else f'out_indices={tuple(emitted)}, '
    text = f"""\
# A trained detector with a new assistant, written by `cbnet upgrade`.
_base_ = {base!r}
{imports_line((cfg.get('custom_imports') or {}).get('imports'))}\
load_from = '{{{{ fileDirname }}}}/{weights.name}'
model = dict(
{assistance}    backbone=dict(
        _delete_=True,
        type='CompositeBackbone',
        member=[
            {member!r},
            dict({detector.member}, init_cfg=None),  # in the checkpoint
        ],
        {emission}style={options.style!r},
        shared_stages=None,
        # Zero in effect, in every family: training starts where it ended.
        connection=dict(init='zero'),
    ),
)
"""
    try:
        out.write_text(text)
        upgraded = read_config(out, str(out))
        what = f'{detector.name} with --assistant {assistant.name}'
        with explained(f'{what} does not build'):
            model = build_detector(upgraded, {})
        if options.train and leaves_unused(model.backbone, [0.0]):
            # DDP must expect parameters without a gradient.
            out.write_text(text + 'find_unused_parameters = True\n')
            upgraded = read_config(out, str(out))
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    return upgraded, model


def start_weights(
    detector: Detector,
    weights: Mapping[str, Tensor],
    model: nn.Module,
    assistant: Assistant,
    file: str | None,
) -> dict[str, Tensor]:
    """Put the weights of detector and assistant under the upgraded names.

    Args:
        detector: the detector.
        weights: its trained weights.
        model: the model of the config that ``write_config`` wrote.
        assistant: the assistant.
        file: its weights; None: those that it is known by.

    Raises:
        ValueError: the assistant has no weights, or they do not fit it.
    """
    init_cfg = assistant.init_cfg
    if file is not None:
        init_cfg = dict(type='Pretrained', checkpoint=file)
    if init_cfg is None:
        raise UserValueError(
            f'--assistant {assistant.name} has no weights of its own; give '
            f'its pretrained file with --assistant-weights'
        )
    moved = {
        f'{_MEMBERS}1.{name.removeprefix(detector.prefix)}'
        if name.startswith(detector.prefix)
        else name: value
        for name, value in weights.items()
    }
    member = model.backbone.members[0]
    member.init_cfg = ConfigDict(init_cfg)
    init_member(member, frozenset(member.state_dict()), 'the assistant')
    model.load_state_dict(moved, strict=False)
    found = model.state_dict()
    lost = [
        name
        for name in moved
        if name.startswith(_MEMBERS)
        and name not in found
        and not NEEDLESS.search(name)
    ]
    if lost:
        raise UserValueError(
            f'{detector.name}: as a member, its backbone has no {lost[0]}'
        )
    return found


def without_assistants(
    weights: Mapping[str, Tensor],
    detector: Detector,
    backbone: Mapping[str, Any],
) -> dict[str, Tensor]:
    """Put the weights of an upgraded detector under their names before.

    Args:
        weights: the weights of the upgraded detector.
        detector: the detector before the upgrade.
        backbone: the config of the upgraded backbone.
    """
    lead = f'{_MEMBERS}{backbone.get("num_members", 2) - 1}.'
    return {
        name.replace(lead, detector.prefix, 1): value
        for name, value in weights.items()
        if name.startswith(lead)
        or not name.startswith((_MEMBERS, _CONNECTIONS))
    }
