"""Composite backbones with assistant supervision, a plugin for mmdet 3.x.

Importing the package checks the stack, serves mmcv's operators where mmcv
came without its compiled module, lets torch's safe loading read mmengine's
checkpoints, lets mmdet paste masks beyond the image and evaluate videos, lays
out the text of configs quickly, and registers everything in mmdet's
registries.  In a config:
``custom_imports = dict(imports=['cbnet'])``.  ``python -m cbnet.doctor``
says what is wrong with an installation.

A command does all this after it has read its arguments.
"""

import os
import sys

from .version import __version__

__all__ = ['__version__', 'start']


def start() -> None:
    """Do what importing the package does; further calls change nothing.

    Raises:
        ImportError: a package is missing, too old or broken.
    """
    from .compat.versions import DOCTOR, check_versions

    check_versions()
    try:
        from .compat import install_ops

        install_ops()  # before anything imports mmcv.ops

        from .compat.safe_globals import allow_checkpoint_globals

        allow_checkpoint_globals()

        from .compat.safe_loading import keep_loading_safe

        keep_loading_safe()

        from .compat.mask_pasting import paste_everywhere

        paste_everywhere()

        from .compat.config_layout import lay_out_quickly

        lay_out_quickly()

        from .compat.video_metric import evaluate_videos

        evaluate_videos()

        from . import engine, models, registry, tta  # noqa: F401
        from .datasets import corruption  # noqa: F401
    except Exception as error:
        raise ImportError(
            f'cbnet does not start: {type(error).__name__}: {error}\n'
            f'To find the cause and the command that repairs it, run: {DOCTOR}'
        ) from error


def _is_module_command() -> bool:
    """Tell whether Python is about to run ``python -m cbnet``.

    While it looks for the module, ``sys.argv`` begins with ``-m``.
    """
    if sys.argv[:1] != ['-m']:
        return False
    return sys.orig_argv[-len(sys.argv)].removeprefix('-m') == 'cbnet'


# The doctor sets this, because it examines stacks that are too broken to
# start, and so does cbnet_command.
if os.environ.get('CBNET_START') != 'no' and not _is_module_command():
    start()
