"""Fold batch norms into the convolutions before them, for inference.

A norm in eval mode multiplies and adds by channel, which the weights of the
convolution before it can do.  torch computes such weights for a pair.  Which
norm reads which convolution, and nothing else does, is known of the blocks
below; the order in which modules are registered does not tell it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise

import mmcv.cnn
from mmcv.cnn import ConvModule
from mmdet.models.backbones import ResNet
from mmdet.models.backbones.res2net import Bottle2neck
from mmdet.models.backbones.resnest import Bottleneck as SplitBottleneck
from mmdet.models.backbones.resnet import BasicBlock, Bottleneck
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.parametrize import is_parametrized

from .backbones import CompositeBackbone

#: a convolution and its norm, each as the module that holds it and the name
Pair = tuple[tuple[nn.Module, str], tuple[nn.Module, str]]

_CONVOLUTIONS = (nn.Conv2d.forward, mmcv.cnn.Conv2d.forward)
_NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)
_HOOKS = ('_forward_hooks', '_forward_pre_hooks', 'forward')


def fold_norms(model: nn.Module) -> Callable[[], None]:
    """Fold the norms of a model in eval mode; return what undoes it.

    The modules of the pairs are replaced, not written to, so the weights are
    as they were once it is undone.  A model with folded norms has other
    names in its ``state_dict``.

    What is computed changes by the rounding of float32.  Left as they are:
    norms in train mode, deformable convolutions, norms before convolutions
    or without one, group norms, the blocks of timm, modules that are used in
    several places, and members whose maps are cached.
    """
    undo = []
    for (owner, name), (norm_owner, norm_name) in list(_pairs(model)):
        conv, norm = getattr(owner, name), getattr(norm_owner, norm_name)
        fused = fuse_conv_bn_eval(conv, norm)
        fused.requires_grad_(False)
        setattr(owner, name, fused)
        setattr(norm_owner, norm_name, nn.Identity())
        undo += [(owner, name, conv), (norm_owner, norm_name, norm)]

    def restore() -> None:
        for owner, name, module in undo:
            setattr(owner, name, module)

    return restore


def _pairs(model: nn.Module) -> Iterator[Pair]:
    uses = Counter(m for _, m in model.named_modules(remove_duplicate=False))
    cached = _cached_members(model)
    for owner in model.modules():
        if owner in cached:
            continue
        for pair in _pairs_of(owner):
            with suppress(AttributeError):  # such as a stem that is shared
                conv, norm = (getattr(holder, n) for holder, n in pair)
                once = uses[conv] == uses[norm] == uses[owner] == 1
                if once and _foldable(conv, norm):
                    yield pair


def _cached_members(model: nn.Module) -> set[nn.Module]:
    """Find what belongs to cached members, whose weights name the cache."""
    return {
        part
        for composite in model.modules()
        if isinstance(composite, CompositeBackbone)
        for adapter in composite.adapters
        if getattr(adapter, 'cache', None) is not None
        for part in adapter.backbone.modules()
    }


def _foldable(conv: nn.Module, norm: nn.Module) -> bool:
    return (
        isinstance(conv, nn.Conv2d)
        and type(conv).forward in _CONVOLUTIONS
        and type(norm) in _NORMS
        and not (conv.training or norm.training)
        and norm.running_var is not None
        and not is_parametrized(conv)
        and not any(
            vars(part).get(key) for part in (conv, norm) for key in _HOOKS
        )
    )


def _pairs_of(owner: nn.Module) -> list[Pair]:
    """List the pairs that the ``forward`` of a module is known to run."""
    forward = type(owner).forward
    if forward is nn.Sequential.forward:
        names = list(owner._modules)
        return [_pair(owner, *two) for two in pairwise(names)]
    if forward is ConvModule.forward:
        folded = owner.efficient_conv_bn_eval_forward is not None
        after = owner.order.index('conv') + 1
        if not owner.with_norm or folded or owner.order.index('norm') != after:
            return []
        return [_pair(owner, 'conv', owner.norm_name)]
    if forward in (BasicBlock.forward, Bottleneck.forward):
        numbers = [i for i in (1, 2, 3) if hasattr(owner, f'norm{i}_name')]
    elif forward is Bottle2neck.forward:
        inner = zip(owner.convs._modules, owner.bns._modules, strict=False)
        pairs = [((owner.convs, a), (owner.bns, b)) for a, b in inner]
        return pairs + [_numbered(owner, i) for i in (1, 3)]
    elif forward is SplitBottleneck.forward:
        numbers = [1, 3]
    elif isinstance(owner, ResNet) and not owner.deep_stem:
        numbers = [1]
    else:
        return []
    return [_numbered(owner, i) for i in numbers]


def _pair(owner: nn.Module, conv: str, norm: str) -> Pair:
    return (owner, conv), (owner, norm)


def _numbered(owner: nn.Module, i: int) -> Pair:
    return _pair(owner, f'conv{i}', getattr(owner, f'norm{i}_name'))
