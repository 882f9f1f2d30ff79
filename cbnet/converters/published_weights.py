"""Published CBNetV2 weights under our names.

======================================  ====================================
published                               here
======================================  ====================================
``cb_modules.K.X``                      ``members.K.X``; Swin's X renamed,
                                        patch merging permuted
``cb_linears.S.J.0.weight``             ``connections.0.{S+J}_to_S.conv...``
``cb_linears.S.J.1.weight`` (BN)        ``connections.0.{S+J}_to_S.norm...``
``cb_linears.S.J.weight`` (Swin)        ``connections.0.{S+J}_to_S.conv...``
``cb_modules.1.bn1.*`` without conv1    dropped: the stem is shared
``cb_modules.1.absolute_pos_embed``     dropped, without patch_embed
neck, heads                             unchanged
======================================  ====================================

``cb_linears.S.J`` reads stage ``S + J`` of the assistant and is added at the
input of stage ``S`` of the lead.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from ..errors import UserValueError
from ..pretrained.swin_names import microsoft_to_mmdet

_MEMBER = re.compile(r'^((?:.*\.)?)cb_modules\.(\d+)\.(.+)$')
_LINEAR = re.compile(
    r'^((?:.*\.)?)cb_linears\.(\d+)\.(\d+)\.(?:([01])\.)?(\w+)$'
)
_LAYERS = {None: 'conv', '0': 'conv', '1': 'norm'}
_SWIN = re.compile(r'^(patch_embed\.|layers\.|norm\d\.|absolute_pos_embed$)')
# Deviation: dead parameters.  The published lead keeps an entry of the stem
# that it takes from the assistant; the second name exists only in a file
# whose lead has a stem of its own.
_DEAD = (
    (re.compile(r'^(?:bn|gn|in)1\.'), 'conv1.weight'),
    (re.compile(r'^absolute_pos_embed$'), 'patch_embed.proj.weight'),
)


@dataclass
class Conversion:
    """Published weights under our names, and what was done to them.

    Args:
        weights: our names to tensors.
        dropped: published names of entries that nothing ever reads.
        permuted: published names of entries whose numbers changed places.
    """

    weights: dict[str, Tensor] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    permuted: list[str] = field(default_factory=list)


def convert_official(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a published state dict, whole or part, to our names.

    Args:
        state_dict: published names to tensors, with or without the prefix
            ``backbone.``; ResNet family or Swin.

    Returns:
        Our names to the same tensors, those of patch merging and of
        absolute positions in mmdet's order; without the dead entries of the
        lead's stem.

    Raises:
        ValueError: for names of a composite that is not served.
    """
    return convert_with_report(state_dict).weights


def convert_with_report(state_dict: Mapping[str, Tensor]) -> Conversion:
    """Do the same as ``convert_official`` and tell what was done."""
    found = Conversion()
    for name, value in state_dict.items():
        if match := _MEMBER.match(name):
            _convert_member(name, value, match, state_dict, found)
        elif match := _LINEAR.match(name):
            prefix, target, step, layer, leaf = match.groups()
            edge = f'{int(target) + int(step)}_to_{target}'
            edge = f'{prefix}connections.0.{edge}.{_LAYERS[layer]}.{leaf}'
            found.weights[edge] = value
        elif '.cb_' in f'.{name}':
            raise UserValueError(
                f'{name}: not a name of a published composite; expected '
                f'cb_modules.K.* or cb_linears.S.J.*'
            )
        else:
            found.weights[name] = value
    return found


def _convert_member(
    name: str,
    value: Tensor,
    match: re.Match[str],
    state_dict: Mapping[str, Tensor],
    found: Conversion,
) -> None:
    prefix, k, rest = match.groups()
    if k not in ('0', '1'):
        raise UserValueError(
            f'{name}: the published code has two members, this file has '
            f'more; which connections lie between them is not known'
        )
    owner = f'{prefix}cb_modules.{k}.'
    if k != '0' and any(
        dead.match(rest) and owner + alive not in state_dict
        for dead, alive in _DEAD
    ):
        found.dropped.append(name)
        return
    renamed, converted = rest, value
    if _SWIN.match(rest):
        ((renamed, converted),) = microsoft_to_mmdet({rest: value}).items()
    if converted is not value:
        found.permuted.append(name)
    found.weights[f'{prefix}members.{k}.{renamed}'] = converted
