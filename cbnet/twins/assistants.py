"""What a name stands for where a pretrained backbone is asked for.

``--assistant NAME|CONFIG`` and the entries of a battle share these names.
"""

from collections.abc import Iterable, Mapping
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
from ..pretrained import names_a_file, packaged_file
from .presets import PRESETS


@dataclass(frozen=True)
class Assistant:
    """A pretrained backbone: an assistant, or any member of an entry.

    Attributes:
        name: what the user called it.
        backbone: its config, without weights.
        init_cfg: where its weights come from, as in a member's ``init_cfg``.
        statistics: how the images that it was trained on were normalised;
            None if it is not known.
        licence: the licence of its weights, if it is known.
        option: what the user named it with, for errors.
    """

    name: str
    backbone: dict[str, Any]
    init_cfg: dict[str, Any] | None
    statistics: Normalisation | None = None
    licence: str | None = None
    option: str = '--assistant'

    @property
    def title(self) -> str:
        """The option and the name, as errors begin."""
        return f'{self.option} {self.name}'


def find_assistant(
    name: str, option: str = '--assistant', more: Iterable[str] = ()
) -> Assistant:
    """Find a preset, a model of timm, or the backbone of a config.

    The weights of a timm model come from an installed package if there is
    one, and from timm otherwise.

    Args:
        name: a key of ``PRESETS``, timm's name of a model, or a config file
            of a detector or of a backbone.
        option: what the user named it with, for errors.
        more: further names that the option knows, for suggestions.

    Raises:
        ValueError: there is nothing of this name.
    """
    if name.endswith('.py') or '::' in name:
        return _from_config(name, option)
    model = PRESETS[name].model if name in PRESETS else name
    base, _, tag = model.partition('.')
    known = [*PRESETS, *timm.list_models(), *more]
    if timm.is_model(base) and tag:
        known = timm.list_pretrained(f'{base}.*')
    if model not in known and name not in PRESETS:
        raise UserValueError(
            f'{option} {name!r} is no preset ({", ".join(PRESETS)}), no '
            f'model of timm and no config file that ends in .py'
            f'{did_you_mean(name, known)}'
        )
    about = timm.get_pretrained_cfg(model)
    weights = None
    if about.has_weights:
        file = packaged_file(base) or f'timm://{model}'
        weights = dict(type='Pretrained', checkpoint=file)
    return Assistant(
        name,
        dict(type='TimmBackbone', model_name=model),
        weights,
        Normalisation(
            *(tuple(255 * x for x in part) for part in (about.mean, about.std))
        ),
        about.license,
        option,
    )


def with_weights(
    assistant: Assistant,
    file: str | None,
    how: str = '--assistant-weights',
) -> Assistant:
    """Give an assistant the weights of a file.

    Args:
        assistant: the assistant.
        file: the file; None: its own weights.
        how: how the user gives a file, for errors.

    Raises:
        ValueError: there is no file, and it has no weights of its own.
    """
    if file is not None:
        cfg = dict(type='Pretrained', checkpoint=file)
        return replace(assistant, init_cfg=cfg)
    if not names_a_file(assistant.init_cfg):
        raise UserValueError(
            f'{assistant.title} has no weights of its own; give its '
            f'pretrained file with {how}'
        )
    return assistant


def _from_config(name: str, option: str) -> Assistant:
    cfg = read_config(find_config(name), name)
    model = cfg.get('model') or cfg
    backbone = model.get('backbone')
    if not isinstance(backbone, dict) or 'type' not in backbone:
        raise UserValueError(
            f'{option} {name}: the config has neither model.backbone nor '
            f'backbone'
        )
    backbone = _without_defaults(deepcopy(backbone).to_dict())
    init_cfg = backbone.pop('init_cfg', None)
    before = model.get('data_preprocessor')
    statistics = before and normalises(before)
    return Assistant(name, backbone, init_cfg, statistics, option=option)


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
