"""Recognise the published model in a file by its keys."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ..errors import UserValueError
from ..messages import listed
from ..pretrained.architecture import stage_depths

# (embed_dim, blocks of the stages) of the published Swins
_SWINS = {
    (96, (2, 2, 6, 2)): 'Swin-T',
    (96, (2, 2, 18, 2)): 'Swin-S',
    (128, (2, 2, 18, 2)): 'Swin-B',
    (192, (2, 2, 18, 2)): 'Swin-L',
}
# (last convolution of a block, blocks of the stages)
_DEPTHS = {
    ('conv2', (2, 2, 2, 2)): 18,
    ('conv2', (3, 4, 6, 3)): 34,
    ('conv3', (3, 4, 6, 3)): 50,
    ('conv3', (3, 4, 23, 3)): 101,
    ('conv3', (3, 8, 36, 3)): 152,
}
#: (member, detector, box heads) -> config in configs/cbnet
CONFIGS = {
    ('ResNet-50', 'Faster R-CNN', '1 or 2 fc'): 'dual_r50',
    ('ResNet-50', 'Mask R-CNN', '1 or 2 fc'): 'dual_r50_mask',
    ('Res2Net-101-DCN', 'Cascade R-CNN', '1 or 2 fc'): 'dual_res2net101_dcn',
    ('Res2Net-101-DCN', 'Cascade R-CNN', '4conv1fc'):
        'dual_res2net101_dcn_4conv1fc',
    ('Swin-T', 'Mask R-CNN', '1 or 2 fc'): 'dual_swin_t',
    ('Swin-T', 'Cascade Mask R-CNN', '4conv1fc'): 'dual_swin_t_cascade',
    ('Swin-S', 'Cascade Mask R-CNN', '4conv1fc'): 'dual_swin_s',
    ('Swin-B', 'Cascade Mask R-CNN', '4conv1fc'): 'dual_swin_b_cascade',
    ('Swin-B', 'HTC', '1 or 2 fc'): 'dual_swin_b_htc',
    ('Swin-B', 'HTC', '4conv1fc'): 'dual_swin_b',
    ('Swin-L', 'HTC', '4conv1fc'): 'dual_swin_l',
}  # fmt: skip
_FIRST = 'cb_modules.0.'
# a part of the names in another file -> advice; the first match counts
_HINTS = {
    'backbone.members.': 'these are names of this package: nothing to convert',
    'backbone.net.': 'files of CB-EVA-02 come from other code and are not '
    'served',
    '': '`cbnet replicate-members` puts an ordinary file into every member',
}
_BOX_CONV = re.compile(r'\.bbox_head\.(?:0\.)?shared_convs\.(\d+)\.')


@dataclass(frozen=True)
class PublishedModel:
    """The model that a file in the published layout holds.

    Attributes:
        member: the name of the backbone, such as ``'Swin-B'``, or its size
            if it is none of the published ones.
        detector: the name of the detector, such as ``'HTC'``; None if the
            file holds only a backbone.
        box_heads: ``'4conv1fc'`` or ``'1 or 2 fc'``.
        semantic: whether the file has HTC's semantic branch.
    """

    member: str
    detector: str | None
    box_heads: str = '1 or 2 fc'
    semantic: bool = False

    @property
    def config(self) -> str | None:
        """The name of its config in configs/cbnet, or None."""
        name = CONFIGS.get((self.member, self.detector, self.box_heads))
        if name and self.detector == 'HTC' and not self.semantic:
            name += '_without_semantic'
        return name

    def __str__(self) -> str:
        members = f'two members {self.member}'
        if self.detector is None:
            return f'a backbone without a detector, {members}'
        text = f'{self.detector}, {members}, box heads {self.box_heads}'
        if self.detector == 'HTC':
            text += f', with{"" if self.semantic else "out"} semantic branch'
        return text


def recognise(weights: Mapping[str, Tensor]) -> PublishedModel:
    """Recognise the published model of a state dict by its keys.

    Raises:
        ValueError: the state dict is no published composite.
    """
    names = '\n'.join(weights)
    first = {
        name.partition(_FIRST)[2]: value
        for name, value in weights.items()
        if _FIRST in name
    }
    if not first:
        hints = (hint for part, hint in _HINTS.items() if part in names)
        raise UserValueError(
            f'no published composite: expected names with {_FIRST}, '
            f'found {listed(weights, 3)}; {next(hints)}'
        )
    member = _member(first)
    if 'roi_head.' not in names:
        return PublishedModel(member, None)
    return PublishedModel(
        member,
        _detector(names),
        '4conv1fc' if len({*_BOX_CONV.findall(names)}) == 4 else '1 or 2 fc',
        'roi_head.semantic_head.' in names,
    )


def _member(weights: Mapping[str, Tensor]) -> str:
    """Name a member by its own names and tensors."""
    depths = stage_depths(weights)
    if 'patch_embed.proj.weight' in weights:
        shape = weights['patch_embed.proj.weight'].shape
        width = shape[0] if shape else 0
        other = f'Swin (embed_dim {width}, depths {depths})'
        return _SWINS.get((width, depths), other)
    last = 'conv3' if 'layer1.0.conv3.weight' in weights else 'conv2'
    names = '\n'.join(weights)
    kind = 'Res2Net' if '.convs.' in names else 'ResNet'
    depth = _DEPTHS.get((last, depths))
    name = f'{kind}-{depth}' if depth else f'CNN (blocks {depths})'
    return f'{name}-DCN' if 'conv_offset' in names else name


def _detector(names: str) -> str:
    if '.conv_res.' in names:
        return 'HTC'
    cascade = 'Cascade ' if 'roi_head.bbox_head.0.' in names else ''
    if 'roi_head.mask_head.' in names:
        return f'{cascade}Mask R-CNN'
    return f'{cascade}R-CNN' if cascade else 'Faster R-CNN'
