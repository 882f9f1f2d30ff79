"""Which published model a file holds, found by looking at its keys."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ..errors import UserValueError

# (embed_dim, blocks of the stages) of the published Swins
_SWINS = {
    (96, (2, 2, 6, 2)): 'Swin-T',
    (96, (2, 2, 18, 2)): 'Swin-S',
    (128, (2, 2, 18, 2)): 'Swin-B',
    (192, (2, 2, 18, 2)): 'Swin-L',
}
# (residual layer, blocks of the stages)
_DEPTHS = {
    ('conv2', (2, 2, 2, 2)): 18,
    ('conv2', (3, 4, 6, 3)): 34,
    ('conv3', (3, 4, 6, 3)): 50,
    ('conv3', (3, 4, 23, 3)): 101,
    ('conv3', (3, 8, 36, 3)): 152,
}
#: (member, detector, box heads) -> config of configs/cbnet
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
_LAYER = re.compile(r'^(?:layers\.|layer)(\d+)\.(?:blocks\.)?(\d+)\.')
_FIRST = 'cb_modules.0.'


@dataclass(frozen=True)
class OfficialModel:
    """What a file in the published layout is.

    Args:
        member: the backbone, as in ``'Swin-B'``; its measures where it is
            none of the published.
        detector: as in ``'HTC'``; None where the file holds a backbone
            alone.
        box_heads: ``'4conv1fc'`` or ``'1 or 2 fc'``.
        semantic: whether there is HTC's semantic branch.
    """

    member: str
    detector: str | None
    box_heads: str = '1 or 2 fc'
    semantic: bool = False

    @property
    def config(self) -> str | None:
        """Name of its config in configs/cbnet; None: there is none."""
        name = CONFIGS.get((self.member, self.detector, self.box_heads))
        if name and self.detector == 'HTC' and not self.semantic:
            name += '_without_semantic'
        return name

    def __str__(self) -> str:
        what = f'two members {self.member}'
        if self.detector is None:
            return f'a backbone alone, {what}'
        branch = ''
        if self.detector == 'HTC':
            branch = f', with{"" if self.semantic else "out"} semantic branch'
        return f'{self.detector}, {what}, box heads {self.box_heads}{branch}'


def recognise(weights: Mapping[str, Tensor]) -> OfficialModel:
    """Tell by its keys which published model a state dict is.

    Args:
        weights: published names to tensors.

    Raises:
        ValueError: where it is no published composite.
    """
    first = {
        name.partition(_FIRST)[2]: value
        for name, value in weights.items()
        if _FIRST in name
    }
    if not first:
        some = ', '.join(list(weights)[:3])
        hint = ''
        if any('backbone.members.' in name for name in weights):
            hint = '; these are names of this package: nothing to convert'
        elif any(name.startswith('backbone.net.') for name in weights):
            hint = '; files of CB-EVA-02 are of another code, not served'
        raise UserValueError(
            f'no published composite: expected names with cb_modules.0., '
            f'found {some}, ...{hint or "; an ordinary file goes into every"}'
            f'{"" if hint else " member with replicate_members.py"}'
        )
    member = _member(first)
    if not any(name.startswith('roi_head.') for name in weights):
        return OfficialModel(member, None)
    return OfficialModel(
        member,
        _detector(weights),
        '4conv1fc' if _box_convs(weights) == 4 else '1 or 2 fc',
        any('roi_head.semantic_head.' in name for name in weights),
    )


def _member(names: Mapping[str, Tensor]) -> str:
    """Name a member by its own names and tensors."""
    blocks: dict[int, int] = {}
    for name in names:
        if match := _LAYER.match(name):
            stage, block = map(int, match.groups())
            blocks[stage] = max(blocks.get(stage, 0), block + 1)
    depths = tuple(blocks[stage] for stage in sorted(blocks))
    if 'patch_embed.proj.weight' in names:
        width = names['patch_embed.proj.weight'].shape[0]
        other = f'Swin (embed_dim {width}, depths {depths})'
        return _SWINS.get((width, depths), other)
    last = 'conv3' if 'layer1.0.conv3.weight' in names else 'conv2'
    depth = _DEPTHS.get((last, depths))
    split = any('.convs.' in name for name in names)
    name = f'{"Res2Net" if split else "ResNet"}-{depth}'
    if depth is None:
        name = f'CNN (blocks {depths})'
    if any('conv_offset' in name for name in names):
        name += '-DCN'
    return name


def _detector(weights: Mapping[str, Tensor]) -> str:
    cascade = any('roi_head.bbox_head.0.' in name for name in weights)
    masks = any('roi_head.mask_head.' in name for name in weights)
    if any('.conv_res.' in name for name in weights):
        return 'HTC'
    if cascade:
        return 'Cascade Mask R-CNN' if masks else 'Cascade R-CNN'
    return 'Mask R-CNN' if masks else 'Faster R-CNN'


def _box_convs(weights: Mapping[str, Tensor]) -> int:
    """Count the shared convolutions of the first box head."""
    found = (
        re.search(r'bbox_head\.(?:0\.)?shared_convs\.(\d+)\.', name)
        for name in weights
    )
    return len({match[1] for match in found if match})
