"""Assign each module of a detector to one of its parts."""

from torch import Tensor, nn

from ...models.backbones import CompositeBackbone
from .meter import metered

DETECTOR = 'detector'  # what the detector computes outside its parts
_SPLIT = 'roi_head'  # a container whose own parts are listed


def find_parts(detector: nn.Module, image: Tensor) -> dict[nn.Module, str]:
    """Name the part of each module.

    The parts are the stems, members and connections of a composite backbone
    (or the whole backbone), then the detector's other attributes, with
    ``roi_head`` split into its heads.

    Args:
        detector: the detector, on the meta device.
        image: the input (1, 3, H, W), on the meta device.

    Returns:
        The part of each module, in the order of the parts.
    """
    parts = {}
    backbone = getattr(detector, 'backbone', None)
    if isinstance(backbone, CompositeBackbone):
        parts = _composite_parts(backbone, image)
    for name, module in detector.named_modules():
        top, _, rest = name.partition('.')
        part = top or DETECTOR
        if top == _SPLIT and rest:
            part = f'{top}.{rest.partition(".")[0]}'
        parts.setdefault(module, part)
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
            # The backbone itself counts as running: what it holds directly,
            # such as absolute positions, is used in the stem.
            with metered(adapter.backbone) as reading:
                adapter.stem(image)
            stem = f'stem of member {k}' if own_stems and last else 'stem'
            stems |= {modules[name]: stem for name in reading.macs}
    for k, connection in enumerate(composite.connections):
        part = f'connection {k} -> {k + 1}'
        connections |= dict.fromkeys(connection.modules(), part)
    # Stems come first, and their modules are no part of the members.
    return stems | members | stems | connections
