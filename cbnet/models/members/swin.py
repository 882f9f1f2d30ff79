"""Members of the Swin family, over mmdet's unmodified SwinTransformer.

The pieces exchange maps (B, C, H, W), which are views of the tokens
(B, H * W, C), so that connections have to handle only one layout.
"""

from math import isqrt

import torch.nn.functional as F
from mmdet.models.backbones import SwinTransformer
from torch import Tensor, nn

from .base import MemberAdapter, StageSpec
from .fast_swin import is_fast, set_speed
from .registry import register_adapter


@register_adapter(SwinTransformer)
class SwinAdapter(MemberAdapter):
    """Run a Swin; its stem is the patch embedding.

    A stage consists of its blocks.  Patch merging lies between the stages
    (``next_input``), and the output norms lie before the pyramid (``emit``).
    A later member that shares stages keeps its own norms of their outputs.
    """

    # As published: an edge between equal channels is the identity of the
    # normed map; the others are a 1x1 convolution with bias and without a
    # norm.  Zero initialisation does not affect identities, so a composite
    # of Swins does not start as its lead.
    connection = dict(bias=True, identity=True, normed_source=True)
    published_shared_stages = 0

    def __init__(self, backbone: SwinTransformer) -> None:
        super().__init__(backbone)
        stride = backbone.patch_embed.projection.stride[0]
        specs = []
        for channels, stage in zip(
            backbone.num_features, backbone.stages, strict=True
        ):
            specs.append(StageSpec(channels, stride, channels, stride))
            if stage.downsample is not None:
                stride *= stage.downsample.sampler.stride[0]
        self.specs = tuple(specs)
        # Deviation: freezing of Swin.  mmdet freezes stages only in train(),
        # but frozen parameters must be marked before DDP collects them.
        backbone.train(backbone.training)

    @property
    def fast(self) -> bool:
        """Whether blocks move tokens once and look their masks up."""
        return is_fast(self.backbone)

    @fast.setter
    def fast(self, value: bool) -> None:
        set_speed(self.backbone, value)

    @property
    def emittable(self) -> tuple[int, ...]:
        """The stages with an output norm: the backbone's out_indices."""
        return self.out_indices

    def stem(self, x: Tensor) -> Tensor:
        """Embed patches; add absolute positions if the backbone does."""
        net = self.backbone
        tokens, size = net.patch_embed(x)
        if net.use_abs_pos_embed:
            tokens = tokens + self._positions(size)
        return _map(net.drop_after_pos(tokens), size)

    def _positions(self, size: tuple[int, int]) -> Tensor:
        """Give the absolute positions (1, H * W, C) of a grid of patches.

        Deviation: absolute positions of Swin.  They are resized (bicubic), as
        published; mmdet's own forward accepts only images of the pretraining
        size, for which the result is the same.
        """
        embedding = self.backbone.absolute_pos_embed
        grid = self._pretraining_grid()
        if tuple(size) == grid:
            return embedding
        return _tokens(
            F.interpolate(_map(embedding, grid), size, mode='bicubic')
        )

    def _pretraining_grid(self) -> tuple[int, int]:
        """Give the (H, W) of the grid that the positions were trained for.

        The config tells its shape.  Of a built backbone, which keeps only
        the number of positions, the grid is square.
        """
        net = self.backbone
        size = self.cfg.get('pretrain_img_size')
        if size is None:
            side = isqrt(net.absolute_pos_embed.shape[1])
            return side, side
        height, width = (size, size) if isinstance(size, int) else size
        patch = net.patch_embed.projection.kernel_size[0]
        return height // patch, width // patch

    def run_stage(self, i: int, x: Tensor) -> Tensor:
        """Run the blocks of stage ``i``."""
        size = x.shape[-2:]
        tokens = _tokens(x)
        for block in self.backbone.stages[i].blocks:
            tokens = block(tokens, size)
        return _map(tokens, size)

    def next_input(self, i: int, y: Tensor) -> Tensor:
        """Merge patches if a stage follows."""
        merge = self.backbone.stages[i].downsample
        return y if merge is None else _map(*merge(_tokens(y), y.shape[-2:]))

    def emit(self, i: int, y: Tensor) -> Tensor:
        """Normalise the output of stage ``i``."""
        norm = getattr(self.backbone, f'norm{i}')
        return _map(norm(_tokens(y)), y.shape[-2:]).contiguous()

    def drop_stem(self) -> None:
        """Replace the patch embedding by a module without parameters."""
        net = self.backbone
        net.patch_embed = nn.Identity()
        if net.use_abs_pos_embed:
            # train() would otherwise try to freeze it by name.
            net.use_abs_pos_embed = False
            del net.absolute_pos_embed

    def drop_stage(self, i: int) -> None:
        """Remove the blocks and patch merging of stage ``i``, not its norm."""
        self.backbone.stages[i] = nn.Identity()

    def drop_emission(self, i: int) -> None:
        """Remove the output norm of stage ``i``, which nothing reads."""
        setattr(self.backbone, f'norm{i}', nn.Identity())


def _map(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """View tokens (B, H * W, C) as a map (B, C, H, W)."""
    return tokens.unflatten(1, tuple(size)).permute(0, 3, 1, 2)


def _tokens(x: Tensor) -> Tensor:
    """View a map (B, C, H, W) as tokens (B, H * W, C)."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)
