"""An ordinary detector's or backbone's weights, put into every member.

======================================  ====================================
in the file                             in the result
======================================  ====================================
``backbone.X``, or ``X`` of a backbone  ``backbone.members.K.X`` for each
alone, or ``backbone.members.0.X``      member that owns ``X``
neck, heads                             unchanged
(nothing)                               connections: left out, so that they
                                        start as they are initialised
======================================  ====================================
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from ..checkpoints.strict_fit import fit_strictly
from ..errors import UserValueError
from ..models.backbones import CompositeBackbone
from ..pretrained.swin_names import microsoft_to_mmdet

# Leading stages by name: the stem, and the number of a stage.
_STEM = re.compile(
    r'^(conv1|bn1|gn1|in1|stem|patch_embed|absolute_pos_embed)\b'
)
_STAGE = re.compile(r'^(?:layer(\d+)|stages\.(\d+))\.')
# A classifier, which files of pretrained backbones have.
_HEAD = re.compile(r'^(fc|head|classifier|norm)\.')
_OTHERS = re.compile(r'^(neck|rpn_head|roi_head|bbox_head|mask_head)\.')


@dataclass
class Plain:
    """What an ordinary file holds.

    Args:
        member: the backbone's own names to tensors.
        rest: neck and heads; empty for a backbone alone.
        dropped: names of a classifier, which detectors do not have.
    """

    member: dict[str, Tensor]
    rest: dict[str, Tensor]
    dropped: list[str]


def take_apart(weights: Mapping[str, Tensor]) -> Plain:
    """Find the backbone in an ordinary file.

    Args:
        weights: of an mmdet detector, of a detector of ours with one member,
            or of a backbone alone, in mmdet's or Microsoft's names.

    Raises:
        ValueError: where it is a composite already, or has no backbone.
    """
    composite = [
        name
        for name in weights
        if re.search(
            r'(^|\.)(members\.[1-9]|cb_modules\.|connections\.)', name
        )
    ]
    if composite:
        hint = 'use it as it is'
        if 'cb_modules.' in composite[0]:
            hint = 'convert it with `cbnet published-to-cbnet`'
        raise UserValueError(
            f'the file is of a composite already ({composite[0]}); {hint}'
        )
    prefix = 'backbone.'
    if any(name.startswith('backbone.members.0.') for name in weights):
        prefix = 'backbone.members.0.'
    elif not any(map(_OTHERS.match, weights)) and not any(
        name.startswith(prefix) for name in weights
    ):
        prefix = ''
    member = {
        name.removeprefix(prefix): value
        for name, value in weights.items()
        if name.startswith(prefix)
    }
    if not member:
        raise UserValueError(
            f'the file has no backbone; expected names with backbone., found '
            f'{", ".join(list(weights)[:3])}, ...'
        )
    rest = {n: w for n, w in weights.items() if not n.startswith(prefix)}
    dropped = [n for n in member if not prefix and _HEAD.match(n)]
    member = {n: w for n, w in member.items() if n not in dropped}
    if 'patch_embed.proj.weight' in member:
        member = _from_microsoft(member)
    return Plain(member, rest, dropped)


def _from_microsoft(member: dict[str, Tensor]) -> dict[str, Tensor]:
    if 'layers.0.downsample.norm.weight' not in member:
        raise UserValueError(
            "the file's Swin has neither mmdet's nor Microsoft's layout "
            '(patch merging begins its stages); give it to the members by '
            'init_cfg'
        )
    member = microsoft_to_mmdet(member)
    # Microsoft's classification files hold masks, which are computed.
    return {n: w for n, w in member.items() if not n.endswith('attn_mask')}


def replicate(
    plain: Plain, num_members: int, shared_stages: int | None
) -> dict[str, Tensor]:
    """Put a member's weights into each member that owns them.

    Args:
        plain: see ``take_apart``; a ResNet's or Swin's names.
        num_members: how many members there are to be.
        shared_stages: as in ``CompositeBackbone``.

    Returns:
        Names of a detector with a composite backbone to tensors.

    Raises:
        ValueError: for other families, whose stages have no known names.
    """
    if family_of(plain) is None:
        raise UserValueError(
            f'which entries belong to which stage is known of ResNets and '
            f'Swins alone (found {", ".join(list(plain.member)[:3])}, ...); '
            f'give the config of the composite by --config'
        )
    return {
        f'backbone.members.{k}.{name}': value
        for k in range(num_members)
        for name, value in plain.member.items()
        if k == 0 or not _shared(name, shared_stages)
    } | plain.rest


def family_of(plain: Plain) -> str | None:
    """Tell ``'ResNet'`` from ``'Swin'`` by the names; None: neither."""
    for name, family in (
        ('patch_embed.projection.weight', 'Swin'),
        ('layer1.0.conv1.weight', 'ResNet'),
    ):
        if name in plain.member:
            return family
    return None


def _shared(name: str, shared_stages: int | None) -> bool:
    if shared_stages is None:
        return False
    if match := _STAGE.match(name):
        layer, stage = match.groups()
        number = int(layer) - 1 if layer else int(stage)
        return number < shared_stages
    return bool(_STEM.match(name))


def replicate_into(
    plain: Plain, model: nn.Module, config: str
) -> tuple[dict[str, Tensor], list[str]]:
    """Put weights into every member of a config's model, strictly.

    Args:
        plain: see ``take_apart``; a backbone alone is compared with the
            model's backbone alone.
        model: the detector, on the meta device.
        config: how errors call it.

    Returns:
        Names of the model to tensors; and the names of its connections,
        which the weights leave out.

    Raises:
        ValueError: where the model has no composite backbone, or anything
            but connections is missing, unknown or of another shape.
    """
    backbone = getattr(model, 'backbone', None)
    if not isinstance(backbone, CompositeBackbone):
        raise UserValueError(
            f'{config} has no composite: its backbone is a '
            f'{type(backbone).__name__}, expected a CompositeBackbone'
        )
    owned = [set(member.state_dict()) for member in backbone.members]
    weights = {
        f'backbone.members.{k}.{name}': value
        for k, names in enumerate(owned)
        for name, value in plain.member.items()
        # What no member has is left to the strict check to name.
        if name in names or (k == 0 and not any(name in n for n in owned))
    } | plain.rest
    connections = 'backbone.connections.'
    target, prefix = (model, '') if plain.rest else (backbone, 'backbone.')
    fitted = fit_strictly(weights, target, config, prefix, connections)
    return fitted, [
        connections + name for name in backbone.connections.state_dict()
    ]
