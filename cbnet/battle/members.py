"""Turn the members of an entry into the config of a backbone."""

from dataclasses import dataclass, replace
from inspect import signature
from math import log2
from typing import Any

from mmdet.registry import MODELS

from ..models.members import MemberAdapter
from ..models.members.normalisation import Normalisation
from ..twins.assistants import Assistant, find_assistant, with_weights
from ..twins.fitting import UpgradeOptions, adapted, member_settings
from .entries import Entry, MemberText
from .presets import EQUAL_COST, PRESETS

#: what mmdet's configs normalise images with
IMAGENET = Normalisation((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


@dataclass(frozen=True)
class Built:
    """The backbone of an entry.

    Attributes:
        cfg: the config of its ``CompositeBackbone``.
        lead: the adapter of the lead, on the meta device if possible.
        preprocessor: how the detector normalises images for the lead.
    """

    cfg: dict[str, Any]
    lead: MemberAdapter
    preprocessor: dict[str, Any]


def mmdet_backbones() -> list[str]:
    """List the backbones of mmdet, which an entry may name."""
    return [
        name
        for name, kind in MODELS.module_dict.items()
        if kind.__module__.startswith('mmdet.models.backbones')
    ]


def find_member(
    member: MemberText, title: str, alone: bool = False
) -> Assistant:
    """Find what a member is named after, with its weights.

    Args:
        member: the member.
        title: the option and the entry, for errors.
        alone: whether it is a whole entry, so that a preset may be meant.

    Raises:
        ValueError: there is nothing of this name, it has no weights, or its
            arguments do not fit.
    """
    backbones = mmdet_backbones()
    if member.name in backbones:
        plain = dict(type=member.name)
        found = Assistant(member.name, plain, None, option=title)
    else:
        more = [*PRESETS, EQUAL_COST] if alone else []
        found = find_assistant(member.name, title, [*backbones, *more])
    random = member.start == 'random'
    if not random:
        how = f'{member.spelt}=FILE, or let it start at random: random:'
        found = with_weights(found, member.weights, how + member.spelt)
    backbone = found.backbone | dict(member.arguments)
    kind = MODELS.get(backbone['type'])
    if kind and 'norm_eval' in signature(kind).parameters:
        # Small batches spoil the statistics of pretrained norms; those of
        # random norms have to be learned.
        backbone.setdefault('norm_eval', not random)
    init_cfg = None if random else found.init_cfg
    return replace(found, backbone=backbone, init_cfg=init_cfg)


def build_backbone(entry: Entry) -> Built:
    """Configure the backbone of an entry.

    Raises:
        ValueError: a member is unknown, or the members do not fit together.
    """
    title, alone = f'{entry.title}:', not entry.composite
    members = tuple(find_member(one, title, alone) for one in entry.members)
    backbone, adapter = _lead(members[-1])
    statistics = members[-1].statistics or IMAGENET
    preprocessor = dict(
        mean=[round(x, 4) for x in statistics.mean],
        std=[round(x, 4) for x in statistics.std],
        bgr_to_rgb=statistics.rgb,
    )
    lead = dict(backbone, init_cfg=members[-1].init_cfg)
    options = entry.options
    equal = len({repr(one) for one in entry.members}) == 1
    shared = options.shared_stages
    if shared == 'published':
        shared = adapter.published_shared_stages if equal else None
    cfg = dict(
        type='CompositeBackbone',
        member=lead,
        num_members=len(members),
        style=options.style,
        shared_stages=shared if entry.composite else None,
    )
    if not equal:
        cfg['member'] = [
            _assistant(found, one, adapter, preprocessor)
            for found, one in zip(members[:-1], entry.members, strict=False)
        ] + [lead]
    elif entry.members[0].start == 'frozen':
        cfg['frozen'] = True
    return Built(cfg, adapter, preprocessor)


def _assistant(
    found: Assistant,
    text: MemberText,
    lead: MemberAdapter,
    preprocessor: dict[str, Any],
) -> dict[str, Any]:
    train = text.start != 'frozen'
    options = UpgradeOptions(train=train, scale=text.scale)
    settings = member_settings(found, lead, preprocessor, options)
    settings['backbone']['init_cfg'] = found.init_cfg
    return settings


def _lead(found: Assistant) -> tuple[dict[str, Any], MemberAdapter]:
    """Configure a lead whose maps lie on strides of powers of two."""
    backbone = dict(found.backbone)
    adapter = adapted(backbone, found.title)
    strides = {spec.out_stride for spec in adapter.specs}
    odd = len(strides) == 1 and not log2(min(strides)).is_integer()
    if odd and backbone['type'] == 'TimmBackbone':  # patches of 14 pixels
        resized = dict(backbone, patch_size=16)
        return resized, adapted(resized, found.title)
    return backbone, adapter
