"""The served operators of mmcv, one file a family.

A new family is a new file whose functions are marked with
:func:`~cbnet.compat.ops.table.serve`, and one more name in the import below.
"""

from . import build_info, focal_loss, nms, roi_align, soft_nms
from .table import SERVED

__all__ = [
    'SERVED',
    'build_info',
    'focal_loss',
    'nms',
    'roi_align',
    'soft_nms',
]
