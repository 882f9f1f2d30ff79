"""Microsoft's Swin Transformer, renamed to mmdet's: names and channel order.

=====================================  ======================================
Microsoft's (and timm's blocks)        mmdet's
=====================================  ======================================
``patch_embed.proj.*``                 ``patch_embed.projection.*``
``layers.S.blocks.B.attn.*``           ``stages.S.blocks.B.attn.w_msa.*``
``layers.S.blocks.B.mlp.fc1.*``        ``stages.S.blocks.B.ffn.layers.0.0.*``
``layers.S.blocks.B.mlp.fc2.*``        ``stages.S.blocks.B.ffn.layers.1.*``
``layers.S.downsample.*``              ``stages.S.downsample.*``, permuted
``absolute_pos_embed`` (1, C, H, W)    ``absolute_pos_embed`` (1, H * W, C)
=====================================  ======================================

Patch merging joins the C channels of 2 x 2 positions.  Microsoft's joins
blocks of C channels, in the order (row, column) = (0, 0), (1, 0), (0, 1),
(1, 1); mmdet's takes what ``nn.Unfold`` gives: for each channel its four
positions, row by row.  Without the permutation a file loads without an error
and computes something else.
"""

import re

from torch import Tensor

from ..errors import UserValueError

_RENAMED = (
    (re.compile(r'^patch_embed\.proj\.'), 'patch_embed.projection.'),
    (
        re.compile(r'^layers\.(\d+)\.blocks\.(\d+)\.attn\.'),
        r'stages.\1.blocks.\2.attn.w_msa.',
    ),
    (
        re.compile(r'^layers\.(\d+)\.blocks\.(\d+)\.mlp\.fc1\.'),
        r'stages.\1.blocks.\2.ffn.layers.0.0.',
    ),
    (
        re.compile(r'^layers\.(\d+)\.blocks\.(\d+)\.mlp\.fc2\.'),
        r'stages.\1.blocks.\2.ffn.layers.1.',
    ),
    (re.compile(r'^layers\.(\d+)\.'), r'stages.\1.'),
)
_MERGING = re.compile(
    r'^layers\.\d+\.downsample\.(reduction\.weight|norm\.(weight|bias))$'
)


def microsoft_to_mmdet(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of one Swin Transformer, permute patch merging.

    Args:
        weights: Microsoft's bare names (``layers.0.blocks...``) to tensors,
            of its classification or its detection code.

    Returns:
        mmdet's names; names that neither has are left alone.

    Raises:
        ValueError: where patch merging does not join four positions.
    """
    renamed = {}
    for name, value in weights.items():
        if _MERGING.match(name):
            value = _permuted(name, value)
        elif name == 'absolute_pos_embed' and value.dim() == 4:
            value = value.flatten(2).transpose(1, 2).contiguous()
        renamed[mmdet_name(name)] = value
    return renamed


def mmdet_name(name: str) -> str:
    """Turn one of Microsoft's bare names into mmdet's."""
    for pattern, to in _RENAMED:
        renamed, found = pattern.subn(to, name)
        if found:
            return renamed
    return name


def merging_to_unfold(weight: Tensor) -> Tensor:
    """Put patch merging's inputs from Microsoft's into mmdet's order.

    Args:
        weight: (..., 4 * C), blocks of C channels, one a position.

    Returns:
        (..., 4 * C), groups of four positions, one a channel.
    """
    blocks = weight.unflatten(-1, (2, 2, -1))  # column, row, channel
    return blocks.movedim(-1, -3).transpose(-1, -2).flatten(-3).contiguous()


def _permuted(name: str, weight: Tensor) -> Tensor:
    if weight.dim() not in (1, 2) or weight.shape[-1] % 4:
        raise UserValueError(
            f'{name} has shape {tuple(weight.shape)}; expected a last '
            f'dimension of 4 * channels, for patch merging of 2 x 2 positions'
        )
    return merging_to_unfold(weight)
