"""Published CBNetV2 backbone arguments, turned into ours.

======================================  ====================================
published                               here
======================================  ====================================
``type='CBResNet'``, ...                ``member.type='ResNet'``, ...
``cb_del_stages=D``, CNN, default 0     ``shared_stages=D`` (-1: None)
``cb_del_stages=D``, Swin, default 1    ``shared_stages=D - 1`` (0: 0 too,
                                        -1: None)
``cb_zero_init``                        ``connection.zero_init``
``cb_inplanes``                         read off the members
``pretrained``                          ``member.init_cfg``
``embed_dim``, ``ape``, ``in_chans``,   ``embed_dims``, ``in_channels``,
``use_checkpoint``                      ``use_abs_pos_embed``, ``with_cp``
``frozen_stages=K`` of Swin, K >= 0     ``frozen_stages=max(K - 1, 0)``
======================================  ====================================
"""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from mmdet.models.backbones import Res2Net, ResNet

from ..errors import UserValueError
from ..messages import did_you_mean

_CNNS = {'CBResNet': ResNet, 'CBRes2Net': Res2Net}
_SWIN = 'CBSwinTransformer'
_SWIN_NAMES = {
    'embed_dim': 'embed_dims',
    'ape': 'use_abs_pos_embed',
    'use_checkpoint': 'with_cp',
    'in_chans': 'in_channels',
    **{
        name: name
        for name in (
            'pretrain_img_size', 'patch_size', 'depths', 'num_heads',
            'window_size', 'mlp_ratio', 'qkv_bias', 'qk_scale', 'drop_rate',
            'attn_drop_rate', 'drop_path_rate', 'patch_norm', 'out_indices',
            'frozen_stages', 'init_cfg',
        )
    },
}  # fmt: skip


def convert_official_backbone(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Turn published backbone arguments into a ``CompositeBackbone`` config.

    Args:
        cfg: the ``backbone`` dict of a published config.

    Returns:
        A config of the same model; ``cfg`` is left as it is.

    Raises:
        ValueError: for a type or an argument that is not served, or a value
            that no model of mmdet has.
    """
    old = dict(cfg)
    kind = str(old.pop('type', None)).rpartition('.')[2]
    if kind not in (*_CNNS, _SWIN):
        raise UserValueError(
            f'backbone.type={cfg.get("type")!r}; served: '
            f'{", ".join((*_CNNS, _SWIN))}'
        )
    zero_init = old.pop('cb_zero_init', True)
    pretrained = old.pop('pretrained', None)
    if pretrained is not None:
        old['init_cfg'] = dict(type='Pretrained', checkpoint=pretrained)
    convert = _convert_swin if kind == _SWIN else _convert_cnn
    member, shared_stages = convert(kind, old)
    return dict(
        type='CompositeBackbone',
        member=member,
        num_members=2,
        style='dhlc',
        shared_stages=shared_stages,
        connection=dict(zero_init=zero_init),
    )


def _convert_cnn(
    kind: str, old: dict[str, Any]
) -> tuple[dict[str, Any], int | None]:
    """Give the member's config and ``shared_stages``."""
    num_stages = old.get('num_stages', 4)
    dropped = _take_dropped(old, 0, num_stages)
    old.pop('cb_inplanes', None)
    _refuse_unknown(kind, old, _arguments(_CNNS[kind]))
    member = dict(type=_CNNS[kind].__name__, **old)
    return member, None if dropped < 0 else dropped


def _convert_swin(
    kind: str, old: dict[str, Any]
) -> tuple[dict[str, Any], int | None]:
    """Give the member's config and ``shared_stages``."""
    dropped = _take_dropped(old, 1, 5)
    _refuse_unknown(kind, old, _SWIN_NAMES)
    old.setdefault('drop_path_rate', 0.2)  # mmdet's own default is 0.1
    member = {_SWIN_NAMES[key]: value for key, value in old.items()}
    if 'mlp_ratio' in member:
        member['mlp_ratio'] = _whole('mlp_ratio', member['mlp_ratio'])
    if member.get('patch_size', 4) != 4:
        member['strides'] = (member['patch_size'], 2, 2, 2)
    # Deviation: patch_norm=False of Swin.
    if not member.get('patch_norm', True):
        raise UserValueError(
            "backbone.patch_norm=False: mmdet's SwinTransformer then has no "
            'norm in patch merging either, the published one keeps it; such '
            'a model cannot be represented here'
        )
    if tuple(member.get('out_indices', range(4))) != (0, 1, 2, 3):
        raise UserValueError(
            f'backbone.out_indices={member["out_indices"]}: the published '
            f'Swin composite needs (0, 1, 2, 3), its connections read all '
            f'four maps'
        )
    if len(member.get('depths', range(4))) != 4:
        raise UserValueError(
            f'backbone.depths={member["depths"]}: the published composites '
            f'have four stages'
        )
    if member.get('frozen_stages', -1) >= 0:
        # Deviation: frozen_stages of Swin.  The published number counts from
        # the patch embedding and leaves the output norms trainable; mmdet's
        # counts from the first stage and freezes their norms, too.
        member['frozen_stages'] = max(member['frozen_stages'] - 1, 0)
    member = dict(type='SwinTransformer', **member)
    return member, None if dropped < 0 else max(dropped - 1, 0)


def _take_dropped(old: dict[str, Any], default: int, most: int) -> int:
    dropped = old.pop('cb_del_stages', default)
    if not isinstance(dropped, int) or not -1 <= dropped <= most:
        raise UserValueError(
            f'backbone.cb_del_stages={dropped!r}; expected -1 (nothing '
            f'shared) to {most}'
        )
    return dropped


def _refuse_unknown(
    kind: str, old: Mapping[str, Any], known: Iterable[str]
) -> None:
    known = sorted(known)
    for key, value in old.items():
        if key not in known:
            raise UserValueError(
                f'backbone.{key}={value!r}: the published {kind} has no '
                f'such argument{did_you_mean(key, known) or ";"} It has '
                f'cb_del_stages, cb_zero_init, pretrained, '
                f'{", ".join(known)}'
            )


def _arguments(backbone: type) -> set[str]:
    """Names of the arguments of a backbone and of the classes below it."""
    names: set[str] = set()
    for base in backbone.__mro__:
        if '__init__' not in vars(base):
            continue
        found = inspect.signature(base).parameters.values()
        names |= {p.name for p in found if p.kind not in (p.VAR_KEYWORD,)}
        if all(p.kind is not p.VAR_KEYWORD for p in found):
            break
    return names


def _whole(key: str, value: float) -> int:
    if value != int(value):
        raise UserValueError(
            f"backbone.{key}={value}: mmdet's SwinTransformer takes whole "
            f'numbers only; such a model cannot be represented here'
        )
    return int(value)
