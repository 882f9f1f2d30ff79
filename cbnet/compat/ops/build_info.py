"""What mmcv reports about the compiler of its operators: there was none."""

from .table import serve

_ANSWER = 'n/a (operators served by cbnet.compat)'


@serve('torch')
def get_compiler_version() -> str:
    """Say in environment reports where the operators come from."""
    return _ANSWER


@serve('torch')
def get_compiling_cuda_version() -> str:
    """Say in environment reports where the operators come from."""
    return _ANSWER
