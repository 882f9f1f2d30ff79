"""Foundation models in the names of those who published them.

timm has a function for each of its model files that turns such names into
its own: those of DINOv3, its ConvNeXts, EVA-02, the Perception Encoder,
OpenAI's CLIP and Segment Anything.  DINOv2's names are timm's.
"""

import sys
from collections.abc import Callable, Set
from functools import partial
from typing import Any

from torch import Tensor, nn

from ...errors import UserValueError
from ...quiet import quiet_output
from .base import Layout, Weights

# An anchor, and the prefix that timm's function expects before such names.
_ANCHORS = {
    "DINOv3's names": ('storage_tokens', ''),
    "EVA-02's names": ('blocks.0.mlp.w3.weight', ''),
    "ConvNeXt's own names": ('downsample_layers.0.0.weight', ''),
    "CLIP's and the Perception Encoder's names": (
        'transformer.resblocks.0.ln_1.weight',
        'visual.',
    ),
    "Segment Anything's names": (
        'blocks.0.mlp.lin1.weight',
        'image_encoder.',
    ),
}


def foundation_layouts(
    kind: type[nn.Module], complete: Callable[[], nn.Module]
) -> list[Layout]:
    """List the layouts that timm can turn into the names of its model.

    Args:
        kind: the class of the model.
        complete: makes such a model with all its parts, which timm's
            functions look at; that of a member may have given some away.
    """
    file = sys.modules[kind.__module__]
    convert = getattr(file, 'checkpoint_filter_fn', None)
    if convert is None:
        return []
    layouts = []
    for title, (anchor, prefix) in _ANCHORS.items():
        rename = partial(_rename, complete, convert, prefix)
        layouts.append(Layout(title, (anchor,), rename, one_to_one=False))
    return layouts


def _rename(
    complete: Callable[[], nn.Module],
    convert: Callable[..., dict[str, Any]],
    prefix: str,
    weights: Weights,
    names: Set[str],
) -> Weights | None:
    given = {prefix + name: weight for name, weight in weights.items()}
    try:
        with quiet_output():  # it prints what it tries
            found = convert(given, complete())
    except (KeyError, RuntimeError):  # the file of another architecture
        return None
    own = {_storage(weight) for weight in weights.values()}
    found = {  # it also adds heads that the file does not have
        name: weight
        for name, weight in found.items()
        if name in names or _storage(weight) in own
    }
    used = {_storage(weight) for weight in found.values()}
    left = {
        name: weight
        for name, weight in weights.items()
        if _storage(weight) not in used and name not in found  # resized
    }
    for name, weight in left.items():
        if name.endswith('attn.qkv.bias') and weight.any():
            raise UserValueError(
                f'its {name} is not zero, and this model of timm has no such '
                f'bias; choose the one of the same size whose name ends in '
                f'_qkvb'
            )
    # What timm drops is reported as ignored, not as a difference.
    return found | {f'unused.{name}': weight for name, weight in left.items()}


def _storage(weight: Tensor) -> int:
    """Identify a weight that was only given another name or shape."""
    return weight.untyped_storage().data_ptr()
