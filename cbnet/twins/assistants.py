"""What ``--assistant NAME|CONFIG`` stands for."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import timm
from mmengine.config import Config

from ..config_files import find_config, read_config
from ..errors import UserValueError
from ..messages import did_you_mean
from ..models.building import build_without_weights
from ..models.members import MemberAdapter
from ..models.members.normalisation import Normalisation
from .presets import PRESETS


@dataclass(frozen=True)
class Assistant:
    """A pretrained backbone that helps a trained detector.

    Attributes:
        name: what the user called it.
        backbone: its config, without weights.
        init_cfg: where its weights come from, as in a member's ``init_cfg``.
        statistics: how the images that it was trained on were normalised;
            None if it is not known.
        licence: the licence of its weights, if it is known.
    """

    name: str
    backbone: dict[str, Any]
    init_cfg: dict[str, Any] | None
    statistics: Normalisation | None = None
    licence: str | None = None


def find_assistant(name: str) -> Assistant:
    """Find a preset, a model of timm, or the backbone of a config.

    Args:
        name: a key of ``PRESETS``, timm's name of a model, or a config file
            of a detector or of a backbone.

    Raises:
        ValueError: there is nothing of this name.
    """
    if name.endswith('.py') or '::' in name:
        return _from_config(name)
    model = PRESETS[name].model if name in PRESETS else name
    base, _, tag = model.partition('.')
    known = [*PRESETS, *timm.list_models()]
    if timm.is_model(base) and tag:
        known = timm.list_pretrained(f'{base}.*')
    if model not in known and name not in PRESETS:
        raise UserValueError(
            f'--assistant {name!r} is no preset ({", ".join(PRESETS)}), no '
            f'model of timm and no config file that ends in .py'
            f'{did_you_mean(name, known)}'
        )
    about = timm.get_pretrained_cfg(model)
    weights = None
    if about.has_weights:
        weights = dict(type='Pretrained', checkpoint=f'timm://{model}')
    return Assistant(
        name,
        dict(type='TimmBackbone', model_name=model),
        weights,
        Normalisation(
            *(tuple(255 * x for x in part) for part in (about.mean, about.std))
        ),
        about.license,
    )


def _from_config(name: str) -> Assistant:
    cfg = read_config(find_config(name), name)
    model = cfg.get('model') or cfg
    backbone = model.get('backbone')
    if not isinstance(backbone, dict) or 'type' not in backbone:
        raise UserValueError(
            f'--assistant {name}: the config has neither model.backbone nor '
            f'backbone'
        )
    backbone = deepcopy(backbone).to_dict()
    init_cfg = backbone.pop('init_cfg', None)
    before = model.get('data_preprocessor')
    return Assistant(name, backbone, init_cfg, before and _normalises(before))


def _normalises(preprocessor: Mapping[str, Any]) -> Normalisation:
    """Tell how the config of a data preprocessor normalises images."""
    plain = Normalisation()
    return Normalisation(
        tuple(preprocessor.get('mean') or plain.mean),
        tuple(preprocessor.get('std') or plain.std),
        bool(preprocessor.get('bgr_to_rgb')),
    )


def fitted(assistant: Assistant, lead: MemberAdapter) -> dict[str, Any]:
    """Configure the backbone of an assistant for the stages of a lead.

    Raises:
        ValueError: the assistant cannot have as many stages as the lead.
    """
    wanted, reason = len(lead.specs), ''
    for changes in _choices(assistant.backbone['type'], lead):
        backbone = assistant.backbone | changes
        adapter = adapted(backbone, f'--assistant {assistant.name}')
        if len(adapter.specs) == wanted:
            break
        strides = [spec.out_stride for spec in adapter.specs]
        reason = reason or f'{len(strides)} stages with the strides {strides}'
    else:
        strides = [spec.out_stride for spec in lead.specs]
        raise UserValueError(
            f'--assistant {assistant.name} has {reason}, and the backbone of '
            f'the detector has {wanted} with the strides {strides}; choose '
            f'an assistant with {wanted} stages, or a ViT of timm'
        )
    if adapter.out_indices != lead.out_indices:
        backbone['out_indices'] = lead.out_indices
    return backbone


def preprocessing(
    assistant: Assistant, detector: Mapping[str, Any]
) -> str | dict[str, Any] | None:
    """Tell how an assistant sees a detector's images.

    Args:
        assistant: the assistant.
        detector: the detector's ``data_preprocessor`` config.

    Returns:
        A member's ``preprocess``; None if it needs no other statistics, or
        if its own are not known.
    """
    own = assistant.statistics
    if own is None or own == _normalises(detector):
        return None
    if assistant.backbone['type'] == 'TimmBackbone':
        return 'timm'
    order = {} if own.rgb else dict(rgb=False)
    mean, std = ([round(x, 4) for x in part] for part in (own.mean, own.std))
    return dict(mean=mean, std=std) | order


def _choices(kind: str, lead: MemberAdapter) -> Iterator[dict[str, Any]]:
    """Yield changes that give an assistant other stages, simplest first."""
    yield {}
    if kind == 'TimmBackbone':
        yield dict(groups=len(lead.specs))
        yield dict(first_stride=lead.specs[0].out_stride)


def adapted(backbone: dict[str, Any], name: str) -> MemberAdapter:
    """Build a backbone without weights, and adapt it.

    Args:
        backbone: its config.
        name: what it is called in errors.

    Raises:
        ValueError: the backbone does not build or cannot be a member.
    """
    alone = dict(type='CompositeBackbone', member=[backbone], num_members=1)
    try:
        return build_without_weights(Config(dict(model=alone))).adapters[0]
    except ValueError as error:
        raise UserValueError(f'{name}: {error}') from error
