"""What ``python -m cbnet.doctor`` is made of: it examines the installation.

Importing this package imports nothing else.
"""

import sys


def is_starting() -> bool:
    """Say whether Python is on its way to run the doctor.

    ``python -m cbnet.doctor`` imports the package ``cbnet`` first, which
    fails on a broken stack.  While Python locates the module to run,
    ``sys.argv[0]`` is ``-m``.
    """
    return sys.argv[:1] == ['-m'] and any(
        word.removeprefix('-m').split('.')[:2] == ['cbnet', 'doctor']
        for word in sys.orig_argv
    )
