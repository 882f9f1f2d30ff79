"""Run mmdet on today's stack: served operators, safe loading.

Importing this package imports neither torch nor mmcv, so that the versions
are checked before either is needed.
"""

from .extension import install_ops, served_ops

__all__ = ['install_ops', 'served_ops']
