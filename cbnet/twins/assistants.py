"""What ``--assistant NAME|CONFIG`` stands for."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

import timm
from mmdet.registry import MODELS

from ..config_files import find_config, read_config
from ..errors import UserValueError
from ..messages import did_you_mean
from ..models.members.normalisation import Normalisation
from ..pretrained import names_a_file
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


def with_weights(assistant: Assistant, file: str | None) -> Assistant:
    """Give an assistant the weights of a file.

    Args:
        assistant: the assistant.
        file: the file; None: its own weights.

    Raises:
        ValueError: there is no file, and it has no weights of its own.
    """
    if file is not None:
        cfg = dict(type='Pretrained', checkpoint=file)
        return replace(assistant, init_cfg=cfg)
    if not names_a_file(assistant.init_cfg):
        raise UserValueError(
            f'--assistant {assistant.name} has no weights of its own; give '
            f'its pretrained file with --assistant-weights'
        )
    return assistant


def _from_config(name: str) -> Assistant:
    cfg = read_config(find_config(name), name)
    model = cfg.get('model') or cfg
    backbone = model.get('backbone')
    if not isinstance(backbone, dict) or 'type' not in backbone:
        raise UserValueError(
            f'--assistant {name}: the config has neither model.backbone nor '
            f'backbone'
        )
    backbone = _without_defaults(deepcopy(backbone).to_dict())
    init_cfg = backbone.pop('init_cfg', None)
    before = model.get('data_preprocessor')
    return Assistant(name, backbone, init_cfg, before and normalises(before))


def _without_defaults(backbone: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the backbone does anyway, so that configs are short."""
    kind = MODELS.get(backbone['type'])
    known = signature(kind).parameters if kind else {}
    return {
        key: value
        for key, value in backbone.items()
        if key not in known or _plain(value) != _plain(known[key].default)
    }


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def normalises(preprocessor: Mapping[str, Any]) -> Normalisation:
    """Tell how the config of a data preprocessor normalises images."""
    plain = Normalisation()
    return Normalisation(
        tuple(preprocessor.get('mean') or plain.mean),
        tuple(preprocessor.get('std') or plain.std),
        bool(preprocessor.get('bgr_to_rgb')),
    )
