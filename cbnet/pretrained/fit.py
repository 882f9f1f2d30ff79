"""Whether weights are those of a member: all of them, and no others.

Half a file loads without an error in torch: a deeper network's has all names
of a shallower one, a shallower one's leaves the rest untrained.
"""

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from mmengine.model import BaseModule
from torch import Tensor

from ..errors import UserValueError
from ..messages import counted
from .architecture import describe

# Computed by the member itself, for its own window size.
_COMPUTED = '.relative_position_index'
# Of no use, or of none to norms with momentum (files from before torch 0.4.1
# lack the counters).
_USELESS = re.compile(
    r'(^|\.)(attn_mask|num_batches_tracked|total_ops|total_params)$'
)
# Files of classifiers have none: norms of a Swin's outputs, offsets of
# deformable convolutions.
_NEW = re.compile(r'^norm\d+\.|\.conv_offset\.')
# Caffe's ResNet-50 has a bias before the first norm.
_CAFFE = 'conv1.bias'
_FIRST = ('patch_embed.projection.weight', 'conv1.weight', 'stem.0.weight')


@dataclass(frozen=True)
class Fit:
    """How a file's weights and a member's names compare.

    Args:
        surplus: names in the file that belong to a backbone, not to this.
        absent: names of the member that a file should have.
        reshaped: name to the shapes in the file and in the member.
        ignored: names in the file that nothing is to be done with.
        new: names of the member that files lack.
    """

    surplus: tuple[str, ...]
    absent: tuple[str, ...]
    reshaped: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
    ignored: tuple[str, ...]
    new: tuple[str, ...]


def compare(
    weights: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    complete: Set[str],
    new: Iterable[str] = (),
) -> Fit:
    """Compare a file's weights with a member's.

    Args:
        weights: the member's names to the file's tensors.
        own: the member's state dict.
        complete: names of the member with all its stages.
        new: regular expressions of further names that files lack.
    """
    computed = [name for name in weights if name.endswith(_COMPUTED)]
    weights = {n: v for n, v in weights.items() if n not in set(computed)}
    parts = {name.partition('.')[0] for name in complete}
    foreign = [name for name in weights if name not in complete]
    ignored = [
        name
        for name in foreign
        if _USELESS.search(name)
        or name == _CAFFE
        or name != 'absolute_pos_embed'
        and name.partition('.')[0] not in parts
    ]
    missing = [
        name
        for name in own
        if name not in weights
        and not name.endswith(_COMPUTED)
        and not _USELESS.search(name)
    ]
    expected = [
        name
        for name in missing
        if _NEW.search(name) or any(re.search(n, name) for n in new)
    ]
    return Fit(
        surplus=tuple(name for name in foreign if name not in ignored),
        absent=tuple(name for name in missing if name not in expected),
        reshaped={
            name: (tuple(value.shape), tuple(own[name].shape))
            for name, value in weights.items()
            if name in own and value.shape != own[name].shape
        },
        ignored=(*ignored, *computed),
        new=tuple(expected),
    )


def new_modules(member: BaseModule) -> list[str]:
    """Regular expressions of what a member has and files of it lack.

    Plugins of mmdet's ResNets, and what a backbone's class lists in its
    attribute ``not_in_pretrained``.
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


def refuse(
    fit: Fit,
    weights: Mapping[str, Tensor],
    member: BaseModule,
    own: Mapping[str, Tensor],
    complete: Set[str],
    source: str,
) -> None:
    """Refuse a file of another architecture.

    Raises:
        ValueError: says what the file is, what the member is, what differs.
    """
    reasons = []
    if fit.surplus:
        reasons.append(f'the member lacks {counted(fit.surplus)}')
    if fit.absent:
        reasons.append(f'the file lacks {counted(fit.absent)}')
    if fit.reshaped:
        shown = [
            f'{name}: file {theirs}, member {ours}'
            for name, (theirs, ours) in fit.reshaped.items()
        ]
        reasons.append(
            f'{len(shown)} shapes differ ({"; ".join(shown[:3])}'
            f'{"; ..." if len(shown) > 3 else ""})'
        )
    for name in _FIRST:
        theirs, ours = fit.reshaped.get(name, ((), ()))
        if len(theirs) == 4 and theirs[:1] + theirs[2:] == ours[:1] + ours[2:]:
            reasons.append(
                f'the file takes images of {theirs[1]} channels, the member '
                f'of {ours[1]} (in_channels)'
            )
    if reasons:
        raise_refusal(
            describe(weights, weights),
            member,
            describe(complete, own),
            source,
            '; '.join(reasons),
        )


def raise_refusal(
    file: str | None,
    member: BaseModule,
    described: str | None,
    source: str,
    reason: str,
) -> None:
    """Raise the error of a file of another architecture."""
    kind = type(member).__name__
    raise UserValueError(
        f'checkpoint={source!r} does not fit {kind}, nothing was loaded. '
        f'The file: {file or "not known"}. The member: {described or kind}. '
        f'{reason[0].upper()}{reason[1:]}. Give a file of the same '
        f'architecture, or configure the member like the file '
        f'(docs/pretrained.md)'
    )
