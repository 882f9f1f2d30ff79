"""Fit an assistant to a detector: its stages, its images, its settings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from ..errors import UserValueError
from ..models.building import build_without_weights
from ..models.members import MemberAdapter
from ..models.members.normalisation import KNOWN
from .assistants import Assistant, normalises


@dataclass(frozen=True)
class UpgradeOptions:
    """How an assistant is added.

    Attributes:
        style: the style of the connections.
        train: whether the assistant is trained.
        scale: the factor by which the assistant's images are resized; None:
            they are resized only if its positions would not line up.
        dtype: the type in which the assistant computes.
        leave_out: whether the assistant's weights are left out of
            checkpoints, which then name them by a hash.
    """

    style: str = 'dhlc'
    train: bool = False
    scale: float | None = None
    dtype: str | None = None
    leave_out: bool = False


def member_settings(
    assistant: Assistant,
    lead: MemberAdapter,
    preprocessor: Mapping[str, Any],
    options: UpgradeOptions,
) -> dict[str, Any]:
    """Configure an assistant as a member before a lead.

    Args:
        assistant: the assistant.
        lead: the adapter of the detector's backbone.
        preprocessor: the detector's ``data_preprocessor`` config.
        options: how it is added.

    Raises:
        ValueError: the assistant cannot have as many stages as the lead.
    """
    backbone, adapter = fitted(assistant, lead)
    scale = options.scale
    if scale is None and not _lines_up(adapter, lead):
        scale = 1.0
    settings = dict(
        type='Member',
        frozen=not options.train,
        scale=scale,
        dtype=options.dtype,
        preprocess=preprocessing(assistant, preprocessor),
    )
    settings = {k: v for k, v in settings.items() if v not in (None, False)}
    if options.leave_out:
        settings['save_frozen'] = False
    return dict(settings, backbone=backbone)


def _lines_up(one: MemberAdapter, other: MemberAdapter) -> bool:
    """Tell whether padding leaves the positions of two members in place."""
    a, b = (max(s.out_stride for s in each.specs) for each in (one, other))
    return a % b == 0 or b % a == 0


def fitted(
    assistant: Assistant, lead: MemberAdapter
) -> tuple[dict[str, Any], MemberAdapter]:
    """Configure the backbone of an assistant for the stages of a lead.

    Returns:
        The config, and the adapter of such a backbone without weights.

    Raises:
        ValueError: the assistant cannot have as many stages as the lead.
    """
    wanted, reason = len(lead.specs), ''
    for changes in _choices(assistant.backbone['type'], lead):
        backbone = assistant.backbone | changes
        adapter = adapted(backbone, assistant.title)
        if len(adapter.specs) == wanted:
            break
        strides = [spec.out_stride for spec in adapter.specs]
        reason = reason or f'{len(strides)} stages with the strides {strides}'
    else:
        strides = [spec.out_stride for spec in lead.specs]
        raise UserValueError(
            f'{assistant.title} has {reason}, and the backbone of '
            f'the detector has {wanted} with the strides {strides}; choose '
            f'an assistant with {wanted} stages, or a ViT of timm'
        )
    if adapter.out_indices != lead.out_indices:
        backbone['out_indices'] = lead.out_indices
    return backbone, adapter


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
    if own is None or own == normalises(detector):
        return None
    if assistant.backbone['type'] == 'TimmBackbone':
        return 'timm'
    known = next((n for n, one in KNOWN.items() if own == one), None)
    if known:
        return known
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
