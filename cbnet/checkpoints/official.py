"""The published CBNetV2 layout, turned into ours: names and arguments.

======================================  ====================================
published                               here
======================================  ====================================
``cb_modules.K.X``                      ``members.K.X``
``cb_linears.S.J.0.weight``             ``connections.0.{S+J}_to_S.conv...``
``cb_linears.S.J.1.weight`` (BN)        ``connections.0.{S+J}_to_S.norm...``
``cb_modules.1.bn1.*`` without conv1    dropped: the stem is shared
neck, heads                             unchanged
``cb_del_stages=D``                     ``shared_stages=D`` (-1: None)
``cb_zero_init``                        ``connection.zero_init``
``cb_inplanes``                         read off the members
======================================  ====================================

``cb_linears.S.J`` reads stage ``S + J`` of the assistant and is added at the
input of stage ``S`` of the lead.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

_MEMBER = re.compile(r'^((?:.*\.)?)cb_modules\.(\d+)\.(.+)$')
_LINEAR = re.compile(r'^((?:.*\.)?)cb_linears\.(\d+)\.(\d+)\.([01])\.(\w+)$')
_STEM_NORM = re.compile(r'^(?:bn|gn|in)1\.')
_LAYERS = {'0': 'conv', '1': 'norm'}
_TYPES = {'CBResNet': 'ResNet', 'CBRes2Net': 'Res2Net'}


def convert_official(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a published state dict, whole or part, to our names.

    Args:
        state_dict: published names to tensors, with or without the prefix
            ``backbone.``; ResNet family.

    Returns:
        Our names to the same tensors; the lead's stem norm, which the
        published models carry but never use, is left out.

    Raises:
        ValueError: for names of a composite that is not served.
    """
    converted = {}
    for name, value in state_dict.items():
        renamed = _rename(name, state_dict)
        if renamed is not None:
            converted[renamed] = value
    return converted


def _rename(name: str, state_dict: Mapping[str, Tensor]) -> str | None:
    if match := _MEMBER.match(name):
        prefix, k, rest = match.groups()
        if rest.startswith(('patch_embed.', 'layers.', 'norm', 'absolute_')):
            raise ValueError(
                f'{name}: published Swin checkpoints are not served yet; '
                f'expected a composite of the ResNet family'
            )
        stem = f'{prefix}cb_modules.{k}.conv1.weight'
        if k != '0' and _STEM_NORM.match(rest) and stem not in state_dict:
            return None
        return f'{prefix}members.{k}.{rest}'
    if match := _LINEAR.match(name):
        prefix, target, step, layer, rest = match.groups()
        edge = f'{int(target) + int(step)}_to_{target}'
        return f'{prefix}connections.0.{edge}.{_LAYERS[layer]}.{rest}'
    if '.cb_' in f'.{name}':
        raise ValueError(
            f'{name}: not a name of a published composite of the ResNet '
            f'family; expected cb_modules.K.* or cb_linears.S.J.0|1.*'
        )
    return name


def convert_official_backbone(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Turn published backbone arguments into a ``CompositeBackbone`` config.

    Args:
        cfg: the ``backbone`` dict of a published config; ResNet family.

    Returns:
        A config of the same model; ``cfg`` is left as it is.

    Raises:
        ValueError: for a type that is not served, or ``cb_del_stages`` out
            of range.
    """
    member = dict(cfg)
    kind = str(member.pop('type', None)).rpartition('.')[2]
    if kind not in _TYPES:
        raise ValueError(
            f'backbone.type={cfg.get("type")!r}; served: {", ".join(_TYPES)}'
        )
    dropped = member.pop('cb_del_stages', 0)
    num_stages = member.get('num_stages', 4)
    if not -1 <= dropped <= num_stages:
        raise ValueError(
            f'backbone.cb_del_stages={dropped}; expected -1 (nothing '
            f'shared) to {num_stages}'
        )
    member.pop('cb_inplanes', None)
    zero_init = member.pop('cb_zero_init', True)
    pretrained = member.pop('pretrained', None)
    if pretrained is not None:
        member['init_cfg'] = dict(type='Pretrained', checkpoint=pretrained)
    return dict(
        type='CompositeBackbone',
        member=dict(type=_TYPES[kind], **member),
        num_members=2,
        style='dhlc',
        shared_stages=None if dropped < 0 else dropped,
        connection=dict(zero_init=zero_init),
    )
