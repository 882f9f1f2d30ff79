"""Assign each module of a detector to one of its parts."""

from torch import Tensor, nn

from ...models.backbones import CompositeBackbone
from ...models.members import HookedAdapter, MemberAdapter, innermost
from .meter import metered


def find_parts(detector: nn.Module, image: Tensor) -> dict[nn.Module, str]:
    """Name the part of each module, in the order of the parts.

    The parts are the stems, members and connections of a composite backbone
    (or the whole backbone), then the detector's other attributes, with
    ``roi_head`` split into its heads. The part ``detector`` is what the
    detector itself computes. The image (1, 3, H, W) is on the meta device.
    """
    parts = {}
    backbone = getattr(detector, 'backbone', None)
    if isinstance(backbone, CompositeBackbone):
        parts = _composite_parts(backbone, image)
    for name, module in detector.named_modules():
        depth = 2 if name.startswith('roi_head.') else 1
        part = '.'.join(name.split('.')[:depth])
        parts.setdefault(module, part or 'detector')
    return parts


def _composite_parts(
    composite: CompositeBackbone, image: Tensor
) -> dict[nn.Module, str]:
    stems, members, connections = {}, {}, {}
    own_stems = composite.shared_stages is None
    last = composite.num_members - 1
    for k, adapter in enumerate(composite.adapters):
        modules = dict(adapter.backbone.named_modules())
        role = 'lead' if k == last else 'assistant'
        members |= dict.fromkeys(modules.values(), f'member {k} ({role})')
        if not k or own_stems:
            stem = f'stem of member {k}' if own_stems and last else 'stem'
            stems |= dict.fromkeys(_stem_modules(adapter, image), stem)
    for k, connection in enumerate(composite.connections):
        part = f'connection {k} -> {k + 1}'
        connections |= dict.fromkeys(connection.modules(), part)
    # Stems come first, and their modules are no part of the members.
    return stems | members | stems | connections


def _stem_modules(adapter: MemberAdapter, image: Tensor) -> list[nn.Module]:
    """List the modules that a member's stem runs."""
    inner = innermost(adapter)
    if isinstance(inner, HookedAdapter):
        return inner.stem_modules()
    modules = dict(adapter.backbone.named_modules())
    # The backbone itself counts as running: what it holds directly, such as
    # absolute positions, is used in the stem.
    with metered(adapter.backbone) as reading:
        adapter.stem(image)
    return [modules[name] for name in reading.macs]
