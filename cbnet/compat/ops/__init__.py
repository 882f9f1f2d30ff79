"""The served operators of mmcv, one file per family.

To add a family, write a file whose functions are marked with
:func:`~cbnet.compat.ops.table.serve` and import it here.
"""

from . import (  # noqa: F401
    build_info,
    carafe,
    deform_conv,
    deform_roi_pool,
    focal_loss,
    masked_conv,
    ms_deform_attn,
    nms,
    roi_align,
    roi_pool,
    soft_nms,
    sync_bn,
)
from .table import SERVED

__all__ = ['SERVED']
