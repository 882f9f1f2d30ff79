"""Members of mmdet's ResNet family.

RegNet has its own ``forward``, without max pooling; the others share one.
"""

from mmdet.models.backbones import RegNet, ResNet
from torch import Tensor, nn

from .base import MemberAdapter, StageSpec
from .registry import register_adapter


@register_adapter(ResNet, RegNet)
class ResNetAdapter(MemberAdapter):
    """Run a ResNet; its stages are ``layer1`` to ``layer4``."""

    # As published: raw stage outputs, a 1x1 convolution without bias, a norm.
    connection = dict(bias=False)
    dynamic = True

    def __init__(self, backbone: ResNet) -> None:
        super().__init__(backbone)
        stride = 2 if isinstance(backbone, RegNet) else 4
        specs = []
        for name, step in zip(
            backbone.res_layers, backbone.strides, strict=True
        ):
            layer = getattr(backbone, name)
            channels = layer[0].conv1.in_channels
            last = layer[-1]
            conv = last.conv3 if hasattr(last, 'conv3') else last.conv2
            specs.append(
                StageSpec(channels, stride, conv.out_channels, stride * step)
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
        """Replace the stem by modules without parameters.

        The backbone's own ``train`` still freezes these names.
        """
        net = self.backbone
        for name in ['stem'] if net.deep_stem else ['conv1', net.norm1_name]:
            setattr(net, name, nn.Identity())

    def drop_stage(self, i: int) -> None:
        """Replace ``layer{i + 1}`` by a module without parameters."""
        setattr(self.backbone, self.backbone.res_layers[i], nn.Identity())
