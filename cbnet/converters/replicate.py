"""Put the weights of an ordinary detector or backbone into every member.

Each member gets the backbone's weights that it owns, the neck and the heads
are unchanged, and connections are left out, so that they keep their initial
values.
"""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from torch import Tensor, nn

from ..checkpoints.fit import load_strictly
from ..checkpoints.report import LoadReport, account
from ..errors import UserValueError
from ..messages import listed
from ..models.backbones import CompositeBackbone
from ..pretrained.layouts.swin import MICROSOFT_SWIN
from ..pretrained.search import under

_STEM = re.compile(
    r'^(conv1|bn1|gn1|in1|stem|patch_embed|absolute_pos_embed)\b'
)
_STAGE = re.compile(r'^(layer|stages\.)(\d+)\.')
# An entry that every backbone of a family has under mmdet's names.
_FAMILIES = {
    'patch_embed.projection.weight': 'Swin',
    'layer1.0.conv1.weight': 'ResNet',
}
# The classifier in the file of a pretrained backbone.
_CLASSIFIER = re.compile(r'^(fc|head|classifier|norm)\.')
_OTHERS = re.compile(r'^(neck|rpn_head|roi_head|bbox_head|mask_head)\.')
_COMPOSITE = re.compile(r'(^|\.)(members\.[1-9]|cb_modules\.|connections\.)')
_CONNECTIONS = 'backbone.connections.'


@dataclass
class Plain:
    """The content of an ordinary file.

    Attributes:
        member: the weights of the backbone under its own names.
        rest: the weights of neck and heads; empty if the file holds only a
            backbone.
        dropped: the names of a classifier and of the masks that it stores,
            which detectors do not have.
    """

    member: dict[str, Tensor]
    rest: dict[str, Tensor]
    dropped: list[str]


def take_apart(weights: Mapping[str, Tensor]) -> Plain:
    """Find the backbone in an ordinary file.

    The file may hold an mmdet detector, one of our detectors with a single
    member, or a backbone under mmdet's or Microsoft's names.

    Raises:
        ValueError: the file holds a composite already, or no backbone.
    """
    if composite := next(filter(_COMPOSITE.search, weights), None):
        hint = 'use it without conversion'
        if 'cb_modules.' in composite:
            hint = 'convert it with `cbnet published-to-cbnet`'
        raise UserValueError(
            f'the file holds a composite already ({composite}); {hint}'
        )
    for prefix in ('backbone.members.0.', 'backbone.', ''):
        if member := under(weights, prefix):
            break
    if not prefix and any(map(_OTHERS.match, weights)):
        raise UserValueError(
            f'the file has no backbone; expected names with backbone., found '
            f'{listed(weights, 3)}'
        )
    rest = {n: w for n, w in weights.items() if not n.startswith(prefix)}
    dropped = [] if prefix else list(filter(_CLASSIFIER.match, member))
    member = {n: w for n, w in member.items() if n not in dropped}
    # A plain ViT may have patches of the same name, but has no layers.
    layers = any(name.startswith('layers.') for name in member)
    if layers and 'patch_embed.proj.weight' in member:
        converted = MICROSOFT_SWIN.rename(member, frozenset())
        if converted is None:
            raise UserValueError(
                "the file's Swin has neither mmdet's nor Microsoft's layout "
                '(patch merging begins its stages); load it through the '
                'init_cfg of the members'
            )
        # Files of classifiers hold masks, which the member computes.
        dropped += [name for name in converted if name.endswith('attn_mask')]
        member = {n: w for n, w in converted.items() if n not in dropped}
    return Plain(member, rest, dropped)


def family_of(plain: Plain) -> str | None:
    """Return ``'ResNet'``, ``'Swin'`` or None, judging by the names."""
    families = (f for name, f in _FAMILIES.items() if name in plain.member)
    return next(families, None)


def replicate(
    plain: Plain, num_members: int, shared_stages: int | None
) -> dict[str, Tensor]:
    """Put the weights of a ResNet or Swin into each member that owns them.

    Raises:
        ValueError: the backbone is of another family, whose names do not
            tell the stage.
    """
    if family_of(plain) is None:
        raise UserValueError(
            f'only the names of ResNets and Swins tell the stage of a weight '
            f'(found {listed(plain.member, 3)}); give the config of the '
            f'composite with --config'
        )
    later = {n for n in plain.member if not _is_shared(n, shared_stages)}
    return _placed(plain, [set(plain.member), *[later] * (num_members - 1)])


def _is_shared(name: str, shared_stages: int | None) -> bool:
    if shared_stages is None:
        return False
    if match := _STAGE.match(name):
        # ResNet counts its layers from 1, Swin its stages from 0.
        return int(match[2]) - (match[1] == 'layer') < shared_stages
    return bool(_STEM.match(name))


def _placed(plain: Plain, owned: Sequence[Set[str]]) -> dict[str, Tensor]:
    """Put weights into members, given the names that each one owns."""
    return {
        f'backbone.members.{k}.{name}': value
        for k, names in enumerate(owned)
        for name, value in plain.member.items()
        if name in names
    } | plain.rest


def replicate_into(
    plain: Plain, model: nn.Module, config: str
) -> tuple[dict[str, Tensor], LoadReport]:
    """Put weights into every member of a config's model, strictly.

    A file that holds only a backbone is compared with the model's backbone.

    Returns:
        The weights under the model's names, and their account; the model's
        connections are new there, and their counters the model's own.

    Raises:
        ValueError: the model has no composite backbone, the weights have
            names of another code, or they differ from the model in more than
            missing connections.
    """
    backbone = getattr(model, 'backbone', None)
    if not isinstance(backbone, CompositeBackbone):
        raise UserValueError(
            f'{config} has no composite: its backbone is a '
            f'{type(backbone).__name__}, expected a CompositeBackbone'
        )
    first = backbone.members[0].state_dict()
    owned = [set(member.state_dict()) for member in backbone.members]
    known = set().union(*owned)
    if known.isdisjoint(plain.member):
        raise UserValueError(
            f'the backbone in the file has no name in common with the members '
            f'of {config} (found {listed(plain.member, 2)}; expected names '
            f'such as {listed(first, 2)}); give a detector that was trained '
            f'with this package or mmdet, or load the backbone through the '
            f'init_cfg of the members (docs/pretrained.md)'
        )
    # The strict comparison reports the names that no member knows.
    owned[0] |= plain.member.keys() - known
    if not plain.rest:
        model = nn.ModuleDict(dict(backbone=backbone))
    weights = _placed(plain, owned)
    report = account(weights, model.state_dict(), 'the replicated file')
    return load_strictly(weights, model, config, (_CONNECTIONS,)), report
