"""The layouts of pretrained files, with the way to rename each."""

from .base import Layout
from .efficientnet import EFFICIENTNET_PYTORCH
from .resnet import DEEP_STEM, SEQUENTIAL, TIMM_REGNET, TORCHVISION_REGNET
from .swin import MICROSOFT_SWIN, TIMM_SWIN, TORCHVISION_SWIN

#: tried in this order, after the member's own names
LAYOUTS: tuple[Layout, ...] = (
    MICROSOFT_SWIN,
    TIMM_SWIN,
    TORCHVISION_SWIN,
    DEEP_STEM,
    SEQUENTIAL,
    TIMM_REGNET,
    TORCHVISION_REGNET,
    EFFICIENTNET_PYTORCH,
)

__all__ = ['LAYOUTS', 'Layout']
