"""Members from timm.

``TimmBackbone`` is an ordinary mmdet backbone, which can be used without a
composite; ``TimmAdapter`` makes it a member.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from annotated_types import Ge
from mmdet.registry import MODELS
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...arguments import explained, validated
from ...errors import UserValueError
from ...messages import one_line
from ...pretrained import init_member, names_a_file
from ..options import InitConfig, NormConfig
from .channel import crop
from .entries import find_stages
from .hooked import HookedAdapter
from .obligations import check_obligations
from .registry import register_adapter
from .sizes import find_sizes
from .timm_features import choose_features
from .timm_models import create_model, native_size
from .trace import probe_image, trace
from .unread import evaluating, remove_unread, unread_parameters


@MODELS.register_module()
@validated
class TimmBackbone(BaseModule):
    """A timm model as a backbone: maps (B, C, H, W) from several stages.

    The stages are those of timm's ``feature_info``.  Features with a stride
    below ``first_stride`` belong to the stem, so stage ``i`` of a pyramid
    network means the same as in mmdet's ResNet: the strides are 4, 8, 16 and
    32.  The blocks of a plain ViT are divided into ``groups`` stages of one
    stride, evenly or as ``groups`` says.

    Images may have any size: they are padded to what the model needs, below
    and to the right, and the maps are cut.  A model whose size is fixed takes
    images up to its ``img_size``.

    Args:
        model_name: timm's name, such as ``'tf_efficientnet_lite0'``.
        out_indices: the stages whose maps are returned; None: all of them.
        frozen_stages: the stages that stay in eval mode and are not
            trained; -1: none; 0: the stem; k: the stem and k stages.
        norm_eval: whether BatchNorm layers stay in eval mode.
        norm_cfg: the norm of the connections that feed this member.
        groups: the number of stages into which equal blocks are divided, or
            the last block of each stage, counted from 0 as in timm's
            ``forward_intermediates``, such as ``(2, 5, 20, 23)``.
        first_stride: the least stride of a stage; 8 beside a lead whose
            stages begin there, such as mmdet's CSPNeXt.
        init_cfg: the weights, such as ``dict(type='Pretrained',
            checkpoint=...)`` with a file in the names of timm or
            efficientnet_pytorch, or ``timm://NAME`` for timm's own.
        model_args: the further arguments of ``timm.create_model``, such as
            ``img_size``.

    Raises:
        ValueError: if the model cannot be a member or does not have one of
            the stages, or if timm is given a file to read.
    """

    def __init__(
        self,
        model_name: str,
        out_indices: Sequence[Annotated[int, Ge(0)]] | None = None,
        frozen_stages: Annotated[int, Ge(-1)] = -1,
        norm_eval: bool = False,
        norm_cfg: NormConfig | None = None,
        groups: Annotated[int, Ge(1)] | Sequence[Annotated[int, Ge(0)]] = 4,
        first_stride: Annotated[int, Ge(1)] = 4,
        init_cfg: InitConfig = None,
        **model_args: Any,
    ) -> None:
        super().__init__(init_cfg)
        self.model_name = model_name
        self.model_args = model_args
        self.model = create_model(model_name, model_args)
        self.norm_cfg = norm_cfg or dict(type='BN')
        try:
            self.features = choose_features(self.model, groups, first_stride)
            self._examine(native_size(model_name, model_args))
        except Exception as error:  # a model may raise anything
            if next(self.model.parameters()).is_meta:
                raise
            raise UserValueError(
                f'model_name={model_name!r} ({type(self.model).__name__}) '
                f'cannot be a member: {one_line(error, 300)}'
            ) from error
        if self.sizes.fixed or self.sizes.multiple > 64:
            print_log(f'{model_name}: images are {self.sizes}', 'current')
        num_stages = len(self.specs)
        if out_indices is None:
            out_indices = range(num_stages)
        _check_range('out_indices', out_indices, 0, num_stages - 1)
        _check_range('frozen_stages', [frozen_stages], -1, num_stages)
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self._freeze_stages()

    def _examine(self, native: tuple[int, int]) -> None:
        """Find the stages, and remove what no map reads."""
        strides = [feature.stride for feature in self.features]
        stages = range(len(strides))

        def forward(images: Tensor) -> list[Tensor]:
            return self.intermediates(images, stages)

        def image(size: tuple[int, int]) -> Tensor:
            return probe_image(self.model, size)

        with evaluating(self.model), torch.no_grad():
            self.sizes = find_sizes(forward, image, native, max(strides))
            traced = trace(self.model, forward, image(self.sizes.probe))
        names = [feature.name for feature in self.features]
        prefix = getattr(self.model, 'num_prefix_tokens', 0)
        self.anatomy = find_stages(self.model, traced, names, strides, prefix)
        self.specs = self.anatomy.specs
        adapter = TimmAdapter(self)
        try:
            unread = unread_parameters(adapter)
            remove_unread(self.model, self.anatomy.rest, unread)
            check_obligations(adapter, traced)
        finally:
            adapter.remove_hooks()

    def complete_model(self) -> nn.Module:
        """Make the model again on the meta device, with all its parts."""
        with torch.device('meta'):
            arguments = self.model_args | dict(pretrained=False)
            return create_model(self.model_name, arguments)

    def intermediates(
        self, images: Tensor, stages: Sequence[int]
    ) -> list[Tensor]:
        """Compute the maps of some stages of images of an accepted size."""
        return self.model.forward_intermediates(
            images,
            indices=[self.features[i].index for i in stages],
            stop_early=True,
            output_fmt='NCHW',
            intermediates_only=True,
        )

    def pad(self, images: Tensor) -> Tensor:
        """Pad images (B, C, H, W) with zeros, below and to the right."""
        height, width = images.shape[-2:]
        rows, columns = self.sizes.padded((height, width), self.model_name)
        if (rows, columns) == (height, width):
            return images
        return F.pad(images, (0, columns - width, 0, rows - height))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Turn images (B, C, H, W) into the maps of ``out_indices``."""
        padded = self.pad(x)
        maps = self.intermediates(padded, self.out_indices)
        size, cut = x.shape[-2:], padded is not x
        strides = [self.specs[i].out_stride for i in self.out_indices]
        return tuple(
            crop(y, size, stride) if cut else y
            for y, stride in zip(maps, strides, strict=True)
        )

    def init_weights(self) -> None:
        """Load a file of any served layout, or keep timm's initialisation."""
        with explained('init_cfg cannot be followed'):
            if names_a_file(self.init_cfg):
                init_member(self, frozenset(self.state_dict()), 'backbone')
            else:
                # timm's ViTs would draw their weights again, also those of
                # pretrained=True and of shared parts.
                self.model.is_init = True
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
        modules = dict(self.model.named_modules())
        for piece in self.anatomy.pieces[: self.frozen_stages + 1]:
            for name in modules.keys() & set(piece):
                modules[name].training = False
                for p in modules[name].parameters(recurse=False):
                    p.requires_grad_(False)


def _check_range(key: str, values: Sequence[int], low: int, high: int) -> None:
    wrong = [value for value in values if not low <= value <= high]
    if wrong:
        raise UserValueError(
            f'{key} holds {wrong}; expected values from {low} to {high} for '
            f'this model'
        )


@register_adapter(TimmBackbone)
class TimmAdapter(HookedAdapter):
    """Run a ``TimmBackbone``."""

    def __init__(self, backbone: TimmBackbone) -> None:
        super().__init__(backbone, backbone.anatomy)

    @property
    def net(self) -> nn.Module:
        """The model, whose parts the anatomy names."""
        return self.backbone.model

    @property
    def probe_size(self) -> tuple[int, int]:
        """The (H, W) of a small image that the model accepts."""
        return self.backbone.sizes.probe

    @property
    def out_indices(self) -> tuple[int, ...]:
        """The stages whose maps the backbone emits."""
        return self.backbone.out_indices

    def pad(self, images: Tensor) -> Tensor:
        """Pad images to a size that the model accepts."""
        return self.backbone.pad(images)

    def compute_maps(
        self, images: Tensor, stages: Sequence[int]
    ) -> list[Tensor]:
        """Compute the maps of some stages."""
        return self.backbone.intermediates(images, stages)
