"""Run a command of cbnet, which reads its arguments before it starts.

``import cbnet`` imports torch and mmdet, which takes seconds; this module
lies beside the package so that a help is there at once.
"""

import os
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int | None:
    """Run ``cbnet.commands.main.main``; see there."""
    before = os.environ.get('CBNET_START')
    os.environ['CBNET_START'] = 'no'
    try:
        from cbnet.commands.main import main as run
    finally:  # commands run further ones
        if before is None:
            del os.environ['CBNET_START']
        else:
            os.environ['CBNET_START'] = before
    return run(argv)
