"""Members from timm: any model that runs as one chain of modules.

``TimmBackbone`` is an ordinary mmdet backbone, which can be used without a
composite; ``TimmAdapter`` makes it a member.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...errors import UserValueError
from ...pretrained import create_timm_model, init_member, names_a_file
from .base import MemberAdapter, StageSpec
from .registry import register_adapter

_SERVED = 'EfficientNets (tf_efficientnet_lite0, ...), ResNets, ConvNeXts'


@MODELS.register_module()
class TimmBackbone(BaseModule):
    """A timm model as a backbone: maps (B, C, H, W) from several stages.

    The stages are those of timm's ``feature_info``.  Features with a stride
    below 4 belong to the stem, so stage ``i`` means the same as in mmdet's
    ResNet: the strides are 4, 8, 16 and 32.

    Args:
        model_name: timm's name, such as ``'tf_efficientnet_lite0'``.
        out_indices: the stages whose maps are returned; None: all of them.
        frozen_stages: the stages that stay in eval mode and are not
            trained; -1: none; 0: the stem; k: the stem and k stages.
        norm_eval: whether BatchNorm layers stay in eval mode.
        norm_cfg: the norm of the connections that feed this member.
        init_cfg: the weights, such as ``dict(type='Pretrained',
            checkpoint=...)`` with a file in the names of timm or
            efficientnet_pytorch, or ``timm://NAME`` for timm's own.
        model_args: the further arguments of ``timm.create_model``.

    Raises:
        ValueError: if the model is not a chain of modules or does not have
            one of the stages, or if timm is given a file to read.
    """

    def __init__(
        self,
        model_name: str,
        out_indices: Sequence[int] | None = None,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        norm_cfg: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
        **model_args: Any,
    ) -> None:
        super().__init__(init_cfg)
        self.model_name = model_name
        self.model = create_timm_model(model_name, **model_args)
        self.pieces = _cut(self.model, model_name)
        self.specs = self._measure()
        num_stages = len(self.specs)
        if out_indices is None:
            out_indices = range(num_stages)
        _check_range('out_indices', out_indices, 0, num_stages - 1)
        _check_range('frozen_stages', [frozen_stages], -1, num_stages)
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.norm_cfg = norm_cfg or dict(type='BN')
        self._freeze_stages()

    def run(self, piece: int, x: Tensor) -> Tensor:
        """Run the stem (piece 0) or stage ``piece - 1``."""
        for name in self.pieces[piece]:
            x = self.model.get_submodule(name)(x)
        return x

    def drop(self, piece: int) -> None:
        """Replace a piece by modules without parameters."""
        for name in self.pieces[piece]:
            self.model.set_submodule(name, nn.Identity())

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Turn images (B, C, H, W) into the maps of ``out_indices``."""
        x = self.run(0, x)
        maps = []
        for i in range(len(self.specs)):
            x = self.run(i + 1, x)
            if i in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def init_weights(self) -> None:
        """Load a file of any served layout, or keep timm's initialisation."""
        if names_a_file(self.init_cfg):
            init_member(self, frozenset(self.state_dict()), 'backbone')
        else:
            super().init_weights()

    def train(self, mode: bool = True) -> 'TimmBackbone':
        """Switch modes; frozen stages and norms stay in eval mode."""
        super().train(mode)
        self._freeze_stages()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _freeze_stages(self) -> None:
        for names in self.pieces[: self.frozen_stages + 1]:
            for name in names:
                self.model.get_submodule(name).eval().requires_grad_(False)

    @torch.no_grad()
    def _measure(self) -> tuple[StageSpec, ...]:
        """Read the specs from a small image and compare with timm's maps."""
        mode = self.model.training
        self.model.eval()
        weight = next(self.model.parameters())
        side = 64
        x = torch.linspace(-1, 1, weight.shape[1] * side * side)
        image = x.view(1, -1, side, side).to(weight)
        x, shapes, maps = image, [], []
        for piece in range(len(self.pieces)):
            x = self.run(piece, x)
            shapes.append((x.shape[1], side // x.shape[-1]))
            maps.append(x)
        truth = self.model.forward_intermediates(
            image, intermediates_only=True
        )[1 - len(maps) :]
        self.model.train(mode)
        equal = all(
            a.is_meta or torch.equal(a, b)
            for a, b in zip(maps[1:], truth, strict=True)
        )
        if not equal:
            raise UserValueError(
                f'model_name={self.model_name!r} cannot be a member: run '
                f'module by module, its output differs from timm; served: '
                f'{_SERVED}'
            )
        return tuple(
            StageSpec(*a, *b) for a, b in zip(shapes, shapes[1:], strict=False)
        )


def _cut(model: nn.Module, name: str) -> list[list[str]]:
    """Cut a model's chain of modules after its features.

    Returns:
        The names of the submodules of the stem, then of each stage, in
        order.  The head after the last feature is removed from the model.

    Raises:
        ValueError: if the features are not points of a chain.
    """
    features = getattr(model, 'feature_info', None) or []
    ends = [f['module'] for f in features if f['reduction'] >= 4]
    strides = [f['reduction'] for f in features if f['reduction'] >= 4]
    chain = []
    for child, module in model.named_children():
        inside = any(end.startswith(f'{child}.') for end in ends)
        chain += (
            [f'{child}.{name}' for name, _ in module.named_children()]
            if inside
            else [child]
        )
    if (
        not ends
        or sorted(set(strides)) != strides
        or not set(ends) <= set(chain)
        or not hasattr(model, 'forward_intermediates')
    ):
        raise UserValueError(
            f'model_name={name!r} ({type(model).__name__}) cannot be a '
            f'member, because it is not a chain of modules with features of '
            f'growing stride in its feature_info; served: {_SERVED}'
        )
    # The stem ends where the module of the first stage begins: after the
    # previous feature and modules without parameters (max pooling).
    pieces, piece = [], []
    for link in chain[: chain.index(ends[-1]) + 1]:
        piece.append(link)
        if link in ends:
            pieces.append(piece)
            piece = []
    stem, first = pieces[0][:-1], pieces[0][-1:]
    for link in chain[chain.index(ends[-1]) + 1 :]:
        model.set_submodule(link, nn.Identity())
    return [stem, first, *pieces[1:]]


def _check_range(key: str, values: Sequence[int], low: int, high: int) -> None:
    wrong = [value for value in values if not low <= value <= high]
    if wrong:
        raise UserValueError(
            f'{key} holds {wrong}; expected values from {low} to {high} for '
            f'this model'
        )


@register_adapter(TimmBackbone)
class TimmAdapter(MemberAdapter):
    """Run the pieces of a ``TimmBackbone``."""

    # The same defaults as in the ResNet family: raw outputs, conv, norm.
    connection = dict(bias=False)

    def __init__(self, backbone: TimmBackbone) -> None:
        super().__init__(backbone)
        self.specs = backbone.specs

    def stem(self, x: Tensor) -> Tensor:
        """Run the modules before the first stage."""
        return self.backbone.run(0, x)

    def run_stage(self, i: int, x: Tensor) -> Tensor:
        """Run stage ``i``."""
        return self.backbone.run(i + 1, x)

    def drop_stem(self) -> None:
        """Replace the stem by modules without parameters."""
        self.backbone.drop(0)

    def drop_stage(self, i: int) -> None:
        """Replace stage ``i`` by modules without parameters."""
        self.backbone.drop(i + 1)
