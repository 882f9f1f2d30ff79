"""Name the part of a detector that each of its modules belongs to."""

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from ...models.backbones import CompositeBackbone
from ...models.members.base import MemberAdapter

BACKBONE = 'backbone'
DETECTOR = 'detector'  # what it does itself, outside its parts
_SPLIT = ('roi_head',)  # containers whose own parts are listed


def name_parts(detector: nn.Module, image: Tensor) -> dict[str, str]:
    """Name the part of each module.

    Stems, members and connections of a composite, or the backbone; then the
    detector's own attributes, ``roi_head`` split into its heads.

    Args:
        detector: on the meta device.
        image: (1, 3, H, W), on the meta device.

    Returns:
        Module name -> part, in the order of the parts.
    """
    parts = {}
    if isinstance(getattr(detector, BACKBONE, None), CompositeBackbone):
        parts = _composite_parts(detector.backbone, image)
    for name, _ in detector.named_modules():
        top, _, rest = name.partition('.')
        part = top or DETECTOR
        if top in _SPLIT and rest:
            part = f'{top}.{rest.partition(".")[0]}'
        parts.setdefault(name, part)
    return parts


def _composite_parts(
    composite: CompositeBackbone, image: Tensor
) -> dict[str, str]:
    prefix = f'{BACKBONE}.members.'
    own_stems = composite.shared_stages is None
    last = composite.num_members - 1
    stems, members, connections = {}, {}, {}
    for k, adapter in enumerate(composite.adapters):
        in_stem = _stem_modules(adapter, image) if not k or own_stems else ()
        stem = f'stem of member {k}' if own_stems and last else 'stem'
        role = 'lead' if k == last else 'assistant'
        for name, module in adapter.backbone.named_modules():
            name = f'{prefix}{k}.{name}'.rstrip('.')
            if module in in_stem:
                stems[name] = stem
            else:
                members[name] = f'member {k} ({role})'
    for k, connection in enumerate(composite.connections):
        for name, _ in connection.named_modules():
            name = f'{BACKBONE}.connections.{k}.{name}'.rstrip('.')
            connections[name] = f'connection {k} -> {k + 1}'
    return {**stems, **members, **connections}


@torch.no_grad()
def _stem_modules(adapter: MemberAdapter, image: Tensor) -> set[nn.Module]:
    """Find the modules that run in a member's stem.

    The backbone is among them: what it holds itself, such as absolute
    positions, is added there.
    """
    ran: set[nn.Module] = {adapter.backbone}

    def remember(module: nn.Module, *_: Any) -> None:
        ran.add(module)

    with ExitStack() as stack:
        for module in adapter.backbone.modules():
            handle = module.register_forward_pre_hook(remember)
            stack.callback(handle.remove)
        adapter.stem(image)
    return ran
