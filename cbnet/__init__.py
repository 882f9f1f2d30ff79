"""Composite backbones with assistant supervision, a plugin for mmdet 3.x.

Importing the package checks the stack, serves mmcv's operators where mmcv
came without its compiled module, lets torch's safe loading read mmengine's
checkpoints, and registers everything into mmdet's registries.  In a config:
``custom_imports = dict(imports=['cbnet'])``.  ``python -m cbnet.doctor``
says what is wrong with an installation.
"""

from .doctor import is_starting
from .version import __version__

# The doctor examines a stack that may be too broken for any of this.
if not is_starting():
    from .compat.versions import check_versions

    check_versions()

    from .compat import install_ops

    install_ops()  # before anything imports mmcv.ops

    from .compat.safe_globals import allow_checkpoint_globals

    allow_checkpoint_globals()

    from .compat.safe_loading import keep_loading_safe

    keep_loading_safe()

    from . import engine, models, registry, tta  # noqa: F401

__all__ = ['__version__']
