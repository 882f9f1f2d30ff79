"""Do the weights of a pretrained file fit a member, completely?

torch loads half a file without an error: the file of a deeper network has
all names of a shallower one, and that of a shallower one leaves the rest of
the member untrained.
"""

import re
from collections.abc import Iterable, Mapping, Set

from mmengine.model import BaseModule
from torch import Tensor

from ..checkpoints.fit import NEEDLESS, Comparison, compare

# The member computes it for its own window size.
_COMPUTED = 'relative_position_index'
# A parameter of a Swin without a module, which the member may lack.
_POSITIONS = 'absolute_pos_embed'
# Caffe's ResNet-50 has a bias before the first norm.
_CAFFE = 'conv1.bias'
# Files of classifiers have neither a Swin's output norms nor the offsets of
# deformable convolutions.
_NEW = (r'^norm\d+\.', r'\.conv_offset\.')
# The first layer of each family, which reads the image.
_FIRST = {'patch_embed.projection.weight', 'conv1.weight', 'stem.0.weight'}


def compare_with_member(
    weights: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    complete: Set[str],
    new: Iterable[str] = (),
) -> tuple[Comparison, dict[str, tuple[str, ...]]]:
    """Compare a file's weights, under the member's names, with a member.

    Args:
        weights: the weights of the file.
        own: the member's state dict.
        complete: the names of the member with all its stages, so that
            weights of shared stages are not reported as unexpected.
        new: regular expressions of further names that files lack.

    Returns:
        The comparison of the weights that both should have, and the other
        names: ``shared``, ``new``, ``ignored`` and ``kept``, as in
        ``LoadReport``.
    """
    everything = own
    own = {n: w for n, w in own.items() if not n.endswith(_COMPUTED)}
    complete = {n for n in complete if not n.endswith(_COMPUTED)}
    parts = {name.partition('.')[0] for name in complete} | {_POSITIONS}
    shared = [n for n in weights if n in complete and n not in own]
    ignored = [
        name
        for name in weights
        if name not in complete
        and (
            name == _CAFFE
            or NEEDLESS.search(name)
            or name.partition('.')[0] not in parts
        )
    ]
    others = {*shared, *ignored}
    found = {n: w for n, w in weights.items() if n not in others}
    optional = (NEEDLESS, *_NEW, *new)
    expected = {
        name: weight
        for name, weight in own.items()
        if name in found or not any(re.search(p, name) for p in optional)
    }
    left = [n for n in everything if n not in expected]
    names = dict(
        shared=shared,
        new=(n for n in left if not NEEDLESS.search(n)),
        ignored=ignored,
        kept=filter(NEEDLESS.search, left),
    )
    return compare(found, expected), {k: tuple(v) for k, v in names.items()}


def new_modules(member: BaseModule) -> list[str]:
    """List regular expressions of weights that a member's files lack.

    They belong to plugins of mmdet's ResNets, or the class of the backbone
    lists them in its attribute ``not_in_pretrained``.
    """
    plugins = [
        re.escape(f'{name}.{plugin}')
        for name, module in member.named_modules()
        for i in (1, 2, 3)
        for plugin in getattr(module, f'after_conv{i}_plugin_names', ())
    ]
    own = getattr(member, 'not_in_pretrained', ())
    return [*own, *(rf'^{plugin}\.' for plugin in plugins)]


def describe_differences(
    comparison: Comparison,
    weights: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
) -> str:
    """Describe all differences; an empty string if there are none."""
    text = comparison.differences('the file', 'the member')
    for name in comparison.differing.keys() & _FIRST:
        theirs, ours = weights[name].shape, own[name].shape
        if len(theirs) == 4 and theirs[:1] + theirs[2:] == ours[:1] + ours[2:]:
            text += (
                f'; the file takes images of {theirs[1]} channels, the '
                f'member of {ours[1]} (in_channels)'
            )
    return text
