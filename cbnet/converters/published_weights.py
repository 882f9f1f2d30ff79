"""Rename published CBNetV2 weights to our names.

docs/published_checkpoints.md lists the names.  ``cb_linears.S.J`` reads
stage ``S + J`` of the assistant and is added at the input of stage ``S`` of
the lead; a ResNet's has a convolution (0) and a norm (1).
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from ..checkpoints.report import LoadReport
from ..errors import UserValueError
from ..pretrained.layouts.swin import microsoft_to_mmdet

_MEMBER = re.compile(r'^((?:.*\.)?)cb_modules\.(\d+)\.(.+)$')
_LINEAR = re.compile(
    r'^((?:.*\.)?)cb_linears\.(\d+)\.(\d+)\.(?:([01])\.)?(\w+)$'
)
_LAYERS = {None: 'conv', '0': 'conv', '1': 'norm'}
_SWIN = re.compile(r'^(patch_embed\.|layers\.|norm\d\.|absolute_pos_embed$)')
# Deviation: dead parameters.  The published lead keeps these entries of a
# stem that it shares.  The second name is in the file only if the lead has a
# stem of its own.
_DEAD = (
    (re.compile(r'^(?:bn|gn|in)1\.'), 'conv1.weight'),
    (re.compile(r'^absolute_pos_embed$'), 'patch_embed.proj.weight'),
)


@dataclass
class Conversion:
    """Published weights under our names, with a record of the changes.

    Attributes:
        weights: the weights under our names.
        dropped: the published names of entries that nothing ever reads.
        permuted: the published names of entries whose numbers were
            reordered: patch merging and absolute positions.
        report: the account of the weights and a model, if there is one.
    """

    weights: dict[str, Tensor] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    permuted: list[str] = field(default_factory=list)
    report: LoadReport | None = None


def convert_published(state_dict: Mapping[str, Tensor]) -> Conversion:
    """Rename a published state dict, or a part of it, to our names.

    Args:
        state_dict: the weights of a ResNet or Swin composite under their
            published names, with or without the prefix ``backbone.``.

    Raises:
        ValueError: a name belongs to a composite that is not served, or two
            names belong to one weight.
    """
    done = Conversion()
    for name, value in state_dict.items():
        if match := _MEMBER.match(name):
            prefix, k, own = match.groups()
            if k not in ('0', '1'):
                raise UserValueError(
                    f'{name}: the published code has two members, but this '
                    f'file has more, and the connections between them are '
                    f'unknown'
                )
            if k == '1' and _is_dead(prefix, own, state_dict):
                done.dropped.append(name)
                continue
            renamed = {own: value}
            if _SWIN.match(own):
                renamed = microsoft_to_mmdet(renamed)
            ((own, converted),) = renamed.items()
            if converted is not value:
                done.permuted.append(name)
            done.weights[f'{prefix}members.{k}.{own}'] = converted
        elif match := _LINEAR.match(name):
            prefix, target, step, layer, leaf = match.groups()
            edge = f'{int(target) + int(step)}_to_{target}.{_LAYERS[layer]}'
            done.weights[f'{prefix}connections.0.{edge}.{leaf}'] = value
        elif '.cb_' in f'.{name}':
            raise UserValueError(
                f'{name}: not a name of a published composite; expected '
                f'cb_modules.K.* or cb_linears.S.J.*'
            )
        else:
            done.weights[name] = value
    if len(done.weights) + len(done.dropped) != len(state_dict):
        raise UserValueError(
            'some weights of the file have two names, a published one and '
            'one of this package; expected published names only'
        )
    return done


def _is_dead(prefix: str, own: str, names: Container[str]) -> bool:
    """Tell whether an entry of the lead belongs to a stem that it shares."""
    return any(
        dead.match(own) and f'{prefix}cb_modules.1.{alive}' not in names
        for dead, alive in _DEAD
    )
