"""Members of mmdet's ResNet family.

ResNet with and without deep stem, ResNeXt, Res2Net, ResNeSt share one
``forward``; RegNet has its own, without max pooling.
"""

from mmdet.models.backbones import RegNet, ResNet
from torch import Tensor, nn

from .base import MemberAdapter, StageSpec, register_adapter


@register_adapter(ResNet, RegNet)
class ResNetAdapter(MemberAdapter):
    """Cut a ResNet at its ``layer1`` to ``layer4``."""

    # As published: raw stage outputs, 1x1 convolution without bias, norm.
    connection = dict(bias=False)

    def __init__(self, backbone: ResNet) -> None:
        super().__init__(backbone)
        stride = 2 if isinstance(backbone, RegNet) else 4
        specs = []
        for name, step in zip(
            backbone.res_layers, backbone.strides, strict=True
        ):
            layer = getattr(backbone, name)
            first, last = layer[0], layer[-1]
            last_conv = last.conv3 if hasattr(last, 'conv3') else last.conv2
            specs.append(
                StageSpec(
                    first.conv1.in_channels,
                    stride,
                    last_conv.out_channels,
                    stride * step,
                )
            )
            stride *= step
        self.specs = tuple(specs)

    def stem(self, x: Tensor) -> Tensor:
        """Run the stem; its output has stride 4 (RegNet: 2)."""
        net = self.backbone
        if net.deep_stem:
            x = net.stem(x)
        else:
            x = net.relu(net.norm1(net.conv1(x)))
        return x if isinstance(net, RegNet) else net.maxpool(x)

    def run_stage(self, i: int, x: Tensor) -> Tensor:
        """Run ``layer{i + 1}``."""
        return getattr(self.backbone, self.backbone.res_layers[i])(x)

    def drop_stem(self) -> None:
        """Put placeholders without parameters in the stem's place.

        Placeholders, because the backbone's own ``train`` goes on freezing
        these names.
        """
        names = ['stem']
        if not self.backbone.deep_stem:
            names = ['conv1', self.backbone.norm1_name]
        for name in names:
            setattr(self.backbone, name, nn.Identity())

    def drop_stage(self, i: int) -> None:
        """Put a placeholder in the place of ``layer{i + 1}``."""
        setattr(self.backbone, self.backbone.res_layers[i], nn.Identity())
