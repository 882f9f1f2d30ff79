"""Do the weights of a pretrained file fit a member, completely?

torch loads half a file without an error: the file of a deeper network has
all names of a shallower one, and that of a shallower one leaves the rest of
the member untrained.
"""

import re
from collections.abc import Iterable, Mapping, Set

from mmengine.model import BaseModule
from torch import Tensor

from ..checkpoints.fit import Comparison, compare

# The member computes it for its own window size.
_COMPUTED = '.relative_position_index'
# A parameter of a Swin without a module, which the member may lack.
_POSITIONS = 'absolute_pos_embed'
# Masks and profilers' counters are never needed.  Norms with a momentum do
# not need their counters, which files from before torch 0.4.1 lack.
_USELESS = re.compile(
    r'(^|\.)(attn_mask|num_batches_tracked|total_ops|total_params)$'
)
# Files of classifiers have neither a Swin's output norms nor the offsets of
# deformable convolutions.
_NEW = (r'^norm\d+\.', r'\.conv_offset\.')
# Caffe's ResNet-50 has a bias before the first norm.
_CAFFE = 'conv1.bias'
_FIRST = ('patch_embed.projection.weight', 'conv1.weight', 'stem.0.weight')


def compare_with_member(
    weights: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    complete: Set[str],
    new: Iterable[str] = (),
) -> tuple[Comparison, tuple[str, ...], tuple[str, ...]]:
    """Compare a file's weights with those of a member.

    Args:
        weights: the file's weights under the member's names.
        own: the member's state dict.
        complete: the names of the member with all its stages, so that
            weights of shared stages are not reported as unexpected.
        new: regular expressions of further names that files lack.

    Returns:
        The comparison of the weights that both should have; the names in
        the file that the member has no use for; and the names of the member
        that such files always lack.
    """
    parts = {name.partition('.')[0] for name in complete}

    def is_ignored(name: str) -> bool:
        if name.endswith(_COMPUTED):
            return True
        return name not in complete and (
            name == _CAFFE
            or bool(_USELESS.search(name))
            or (name.partition('.')[0] not in parts and name != _POSITIONS)
        )

    found = {
        name: weight
        for name, weight in weights.items()
        if not is_ignored(name) and (name in own or name not in complete)
    }
    lacking = [
        name
        for name in own
        if name not in found
        and not name.endswith(_COMPUTED)
        and not _USELESS.search(name)
    ]
    patterns = (*_NEW, *new)
    fresh = [n for n in lacking if any(re.search(p, n) for p in patterns)]
    ignored = sorted(
        filter(is_ignored, weights), key=lambda name: name.endswith(_COMPUTED)
    )
    required = {*found, *lacking}.difference(fresh)
    comparison = compare(
        found, {n: w for n, w in own.items() if n in required}
    )
    return comparison, tuple(ignored), tuple(fresh)


def new_modules(member: BaseModule) -> list[str]:
    """List regular expressions of weights that a member's files lack.

    They belong to plugins of mmdet's ResNets, or the class of the backbone
    lists them in its attribute ``not_in_pretrained``.
    """
    found = list(getattr(member, 'not_in_pretrained', ()))
    for name, module in member.named_modules():
        if getattr(module, 'with_plugins', False):
            plugins = [
                plugin
                for i in (1, 2, 3)
                for plugin in getattr(module, f'after_conv{i}_plugin_names')
            ]
            found += [rf'^{re.escape(f"{name}.{p}")}\.' for p in plugins]
    return found


def describe_differences(
    comparison: Comparison,
    weights: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
) -> str:
    """Describe what does not fit; an empty string if everything does."""
    text = comparison.differences('the file', 'the member')
    for name in comparison.differing:
        if name not in _FIRST:
            continue
        theirs, ours = weights[name].shape, own[name].shape
        if len(theirs) == 4 and theirs[:1] + theirs[2:] == ours[:1] + ours[2:]:
            text += (
                f'; the file takes images of {theirs[1]} channels, the '
                f'member of {ours[1]} (in_channels)'
            )
    return text
