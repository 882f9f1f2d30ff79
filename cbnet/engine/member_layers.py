"""Count the layers of a member: which weights lie how deep below its top."""

import copy
from collections.abc import Iterator

import torch
from torch import nn

from ..models.members import MemberAdapter

#: what is counted as one layer
LAYERS = ('block', 'stage')
_CONTAINERS = (nn.Sequential, nn.ModuleList)


def member_depths(
    adapter: MemberAdapter, layers: str = 'block'
) -> dict[str, int]:
    """Give the depth of each weight below the member's top.

    What a stage is made of is what its adapter's ``drop_stage`` takes away,
    and so with the stem; nothing else needs to be known of a family.  Its
    blocks are the elements of its containers, or of its ``blocks``; what
    else it has, such as patch merging, goes with the block beside it.

    Depths count from the top, so those of a member that takes its first
    stages from another one are those of a complete member.

    Args:
        adapter: the member's; the member is left as it is.
        layers: count every block, or every stage as one.

    Returns:
        By the names of the member's parameters: 1 for those of the last
        block or stage, growing downwards to the stem's.  What is neither
        stem nor stage, such as output norms, is not in it.
    """
    pieces = list(_pieces(adapter))
    stages = [blocks for blocks in pieces[1:] if blocks]
    if layers == 'stage':
        stages = [[sum(blocks, [])] for blocks in stages]
    above = [block for blocks in stages for block in blocks]
    stem = sum(pieces[0], [])
    return {
        name: depth
        for depth, names in enumerate([*above[::-1], stem], start=1)
        for name in names
    }


def _pieces(adapter: MemberAdapter) -> Iterator[list[list[str]]]:
    """Yield the names of the stem, then of each stage, in their blocks."""
    adapter = _without_numbers(adapter)
    backbone = adapter.backbone
    for i in range(-1, len(adapter.specs)):
        modules = dict(backbone.named_modules())
        names = dict(backbone.named_parameters())
        if i < 0:
            adapter.drop_stem()
        else:
            adapter.drop_stage(i)
        left = dict(backbone.named_modules())
        kept = dict(backbone.named_parameters())
        dropped = [name for name in names if name not in kept]
        changed = [n for n, m in modules.items() if left.get(n) is not m]
        yield _in_blocks(dropped, _blocks(changed, modules))


def _without_numbers(adapter: MemberAdapter) -> MemberAdapter:
    """Copy a member, its tensors on the meta device."""
    backbone = adapter.backbone
    tensors = [*backbone.parameters(), *backbone.buffers()]
    memo = {id(t): torch.empty_like(t, device='meta') for t in tensors}
    for parameter in backbone.parameters():
        memo[id(parameter)] = nn.Parameter(memo[id(parameter)], False)
    twin = copy.copy(adapter)
    twin.backbone = copy.deepcopy(backbone, memo)
    return twin


def _blocks(
    changed: list[str], modules: dict[str, nn.Module]
) -> list[list[str]]:
    """List the modules of each block of a piece, in their order.

    Args:
        changed: names of the modules that went with the piece.
        modules: all modules, the piece's as well.
    """
    blocks = []
    for name in changed:
        if any(name.startswith(f'{other}.') for other in changed):
            continue  # it went with the one that it is part of
        module = modules[name]
        children = [f'{name}.{n}' for n, _ in module.named_children()]
        inner = f'{name}.blocks'
        if isinstance(module, _CONTAINERS):
            blocks += [[child] for child in children]
        elif isinstance(modules.get(inner), _CONTAINERS):
            at = children.index(inner)
            found = [
                [f'{inner}.{n}'] for n, _ in modules[inner].named_children()
            ]
            found[-1] += children[at + 1 :]
            blocks += found
        else:
            blocks.append([name])
    return blocks


def _in_blocks(names: list[str], blocks: list[list[str]]) -> list[list[str]]:
    """Sort parameters into blocks; those without any are left out."""
    found = [
        [
            name
            for name in names
            if any(name.startswith(f'{module}.') for module in block)
        ]
        for block in blocks
    ]
    found = [block for block in found if block]
    # What comes before the blocks, or is the piece's own, lies lowest.
    inside = {name for block in found for name in block}
    loose = [name for name in names if name not in inside]
    if loose:
        found = [loose + found[0], *found[1:]] if found else [loose]
    return found
