"""Assign each module of a detector to one of its parts."""

from collections.abc import Iterator

from torch import Tensor, nn

from ...models.backbones import CompositeBackbone
from .meter import metered

BACKBONE = 'backbone'
DETECTOR = 'detector'  # what the detector computes outside its parts
_SPLIT = 'roi_head'  # a container whose own parts are listed


def name_parts(detector: nn.Module, image: Tensor) -> dict[str, str]:
    """Name the part of each module.

    The parts are the stems, members and connections of a composite backbone
    (or the whole backbone), then the detector's other attributes, with
    ``roi_head`` split into its heads.

    Args:
        detector: the detector, on the meta device.
        image: the input (1, 3, H, W), on the meta device.

    Returns:
        The part of each module by module name, in the order of the parts.
    """
    parts = {}
    if isinstance(getattr(detector, BACKBONE, None), CompositeBackbone):
        parts = dict(_composite_parts(detector.backbone, image))
    for name, _ in detector.named_modules():
        top, _, rest = name.partition('.')
        part = top or DETECTOR
        if top == _SPLIT and rest:
            part = f'{top}.{rest.partition(".")[0]}'
        parts.setdefault(name, part)
    return parts


def _composite_parts(
    composite: CompositeBackbone, image: Tensor
) -> Iterator[tuple[str, str]]:
    """Yield module name and part: stems, then members, then connections."""
    own_stems = composite.shared_stages is None
    last = composite.num_members - 1
    members = []
    for k, adapter in enumerate(composite.adapters):
        in_stem = ()
        if not k or own_stems:
            # The backbone itself is read as running, too: what it holds
            # directly, such as absolute positions, is used in the stem.
            with metered(adapter.backbone) as reading:
                adapter.stem(image)
            in_stem = reading.macs
        stem = f'stem of member {k}' if own_stems and last else 'stem'
        role = 'lead' if k == last else 'assistant'
        for inside, _ in adapter.backbone.named_modules():
            name = f'{BACKBONE}.members.{k}.{inside}'.rstrip('.')
            if inside in in_stem:
                yield name, stem
            else:
                members.append((name, f'member {k} ({role})'))
    yield from members
    for k, connection in enumerate(composite.connections):
        for name, _ in connection.named_modules():
            name = f'{BACKBONE}.connections.{k}.{name}'.rstrip('.')
            yield name, f'connection {k} -> {k + 1}'
