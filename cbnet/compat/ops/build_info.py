"""The compiler of the operators, in environment reports: there is none."""

from .table import serve


@serve('torch')
def get_compiler_version() -> str:
    """Say in environment reports where the operators come from."""
    return 'n/a (operators served by cbnet.compat)'


@serve('torch')
def get_compiling_cuda_version() -> str:
    """Say in environment reports where the operators come from."""
    return get_compiler_version()
