"""Composite backbones with assistant supervision, a plugin for mmdet 3.x."""

# ruff: noqa: E402 (the order of these imports is what they do)
from .compat.versions import check_versions
from .version import __version__

check_versions()

from .compat import install_ops

install_ops()  # before anything imports mmcv.ops

__all__ = ['__version__']
