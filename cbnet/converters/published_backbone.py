"""Convert the arguments of a published CBNetV2 backbone into ours.

docs/migrate.md lists the arguments.
"""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from mmdet.models.backbones import Res2Net, ResNet

from ..errors import UserValueError
from ..messages import did_you_mean

_CNNS = {'CBResNet': ResNet, 'CBRes2Net': Res2Net}
_SWIN = 'CBSwinTransformer'
_SWIN_RENAMED = {
    'embed_dim': 'embed_dims',
    'ape': 'use_abs_pos_embed',
    'use_checkpoint': 'with_cp',
    'in_chans': 'in_channels',
}
_SWIN_ARGUMENTS = {
    *_SWIN_RENAMED, 'pretrain_img_size', 'patch_size', 'depths', 'num_heads',
    'window_size', 'mlp_ratio', 'qkv_bias', 'qk_scale', 'drop_rate',
    'attn_drop_rate', 'drop_path_rate', 'patch_norm', 'out_indices',
    'frozen_stages', 'init_cfg',
}  # fmt: skip
_REFUSED = (
    (
        'mlp_ratio',
        lambda ratio: ratio % 1,
        "mmdet's SwinTransformer takes whole numbers only",
    ),
    # Deviation: patch_norm=False of Swin.
    (
        'patch_norm',
        lambda norm: not norm,
        "mmdet's SwinTransformer then has no norm in patch merging either, "
        'but the published one keeps it',
    ),
    (
        'out_indices',
        lambda indices: tuple(indices) != (0, 1, 2, 3),
        'the connections of the published Swin composite read all four maps, '
        '(0, 1, 2, 3)',
    ),
    (
        'depths',
        lambda depths: len(depths) != 4,
        'the published composites have four stages',
    ),
)


def convert_published_backbone(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Turn published backbone arguments into a ``CompositeBackbone`` config.

    Args:
        cfg: the ``backbone`` dict of a published config; it is not changed.

    Returns:
        A config of the same model.

    Raises:
        ValueError: the type or an argument is unknown, or mmdet has no
            model for a value.
    """
    arguments = dict(cfg)
    kind = str(arguments.pop('type', None)).rpartition('.')[2]
    if kind not in (*_CNNS, _SWIN):
        raise UserValueError(
            f'backbone.type={cfg.get("type")!r}; served: '
            f'{", ".join((*_CNNS, _SWIN))}'
        )
    zero_init = arguments.pop('cb_zero_init', True)
    pretrained = arguments.pop('pretrained', None)
    # A Swin counts its patch embedding as the first of the stages.
    stem = int(kind == _SWIN)
    most = arguments.get('num_stages', 4) + stem
    dropped = arguments.pop('cb_del_stages', stem)
    if not isinstance(dropped, int) or not -1 <= dropped <= most:
        raise UserValueError(
            f'backbone.cb_del_stages={dropped!r}; expected -1 (nothing is '
            f'shared) to {most}'
        )
    if kind == _SWIN:
        member = _swin(arguments)
    else:
        arguments.pop('cb_inplanes', None)
        _refuse_unknown(kind, arguments, _arguments(_CNNS[kind]))
        member = dict(type=_CNNS[kind].__name__, **arguments)
    if pretrained is not None:
        member['init_cfg'] = dict(type='Pretrained', checkpoint=pretrained)
    return dict(
        type='CompositeBackbone',
        member=member,
        num_members=2,
        style='dhlc',
        shared_stages=None if dropped < 0 else max(dropped - stem, 0),
        connection=dict(zero_init=zero_init),
    )


def _swin(arguments: dict[str, Any]) -> dict[str, Any]:
    """Turn the published arguments of a Swin into a member's config."""
    _refuse_unknown(_SWIN, arguments, _SWIN_ARGUMENTS)
    for key, is_refused, reason in _REFUSED:
        if key in arguments and is_refused(arguments[key]):
            raise UserValueError(
                f'backbone.{key}={arguments[key]}: such a model cannot be '
                f'represented here, because {reason}'
            )
    arguments.setdefault('drop_path_rate', 0.2)  # mmdet's default is 0.1
    member = {_SWIN_RENAMED.get(k, k): v for k, v in arguments.items()}
    if 'mlp_ratio' in member:
        member['mlp_ratio'] = int(member['mlp_ratio'])
    if member.get('patch_size', 4) != 4:
        member['strides'] = (member['patch_size'], 2, 2, 2)
    if member.get('frozen_stages', -1) >= 0:
        # Deviation: frozen_stages of Swin.  The published number counts from
        # the patch embedding and leaves the output norms trainable; mmdet's
        # counts from the first stage and also freezes their norms.
        member['frozen_stages'] = max(member['frozen_stages'] - 1, 0)
    return dict(type='SwinTransformer', **member)


def _refuse_unknown(
    kind: str, arguments: Mapping[str, Any], known: Iterable[str]
) -> None:
    known = sorted(known)
    for key, value in arguments.items():
        if key not in known:
            raise UserValueError(
                f'backbone.{key}={value!r}: the published {kind} has no '
                f'such argument{did_you_mean(key, known) or "."} It has '
                f'cb_del_stages, cb_zero_init, pretrained, '
                f'{", ".join(known)}'
            )


def _arguments(backbone: type) -> set[str]:
    """Collect the arguments of a backbone and of its base classes."""
    return {
        argument.name
        for base in backbone.__mro__
        if '__init__' in vars(base)
        for argument in inspect.signature(base).parameters.values()
        if argument.kind is argument.POSITIONAL_OR_KEYWORD
    }
