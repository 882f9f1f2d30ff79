"""The layouts of pretrained files, with the way to rename each."""

from .base import Layout
from .cvnets import CVNETS_RESNET
from .efficientnet import EFFICIENTNET_PYTORCH
from .paddle import PADDLE_HGNET, PADDLE_RESNET
from .resnet import (
    DEEP_STEM,
    SEQUENTIAL,
    SIMCLR_V2,
    TIMM_REGNET,
    TORCHVISION_REGNET,
)
from .swin import MICROSOFT_SWIN, TIMM_SWIN, TORCHVISION_SWIN
from .unserved import SIMCLR_SELECTIVE, VIT_RESNAS

#: tried in this order, after the member's own names
LAYOUTS: tuple[Layout, ...] = (
    MICROSOFT_SWIN,
    TIMM_SWIN,
    TORCHVISION_SWIN,
    DEEP_STEM,
    SEQUENTIAL,
    SIMCLR_SELECTIVE,
    SIMCLR_V2,
    PADDLE_RESNET,
    CVNETS_RESNET,
    TIMM_REGNET,
    TORCHVISION_REGNET,
    EFFICIENTNET_PYTORCH,
    PADDLE_HGNET,
    VIT_RESNAS,
)

__all__ = ['LAYOUTS', 'Layout']
