"""The served operators of mmcv, one file a family.

A new family is a new file whose functions are marked with
:func:`~cbnet.compat.ops.table.serve`, and one more name in the import below.
"""

from . import (
    build_info,
    carafe,
    deform_conv,
    deform_roi_pool,
    focal_loss,
    masked_conv,
    modulated_deform_conv,
    ms_deform_attn,
    nms,
    roi_align,
    roi_pool,
    soft_nms,
    sync_bn,
)
from .table import SERVED

__all__ = [
    'SERVED',
    'build_info',
    'carafe',
    'deform_conv',
    'deform_roi_pool',
    'focal_loss',
    'masked_conv',
    'modulated_deform_conv',
    'ms_deform_attn',
    'nms',
    'roi_align',
    'roi_pool',
    'soft_nms',
    'sync_bn',
]
