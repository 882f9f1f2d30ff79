"""Refuse a missing or too old stack in one clear sentence."""

from importlib import metadata

from packaging.version import Version

# import name -> (distributions that own it, oldest version that works)
# The onedl-* forks keep the import names of the packages they replace.
STACK = {
    'torch': (('torch',), '2.6'),
    'torchvision': (('torchvision',), '0.21'),
    'mmengine': (('mmengine', 'onedl-mmengine'), '0.10'),
    'mmcv': (('mmcv', 'mmcv-lite', 'onedl-mmcv'), '2.0'),
    'mmdet': (('mmdet', 'onedl-mmdetection'), '3.3'),
}


def _installed(distributions: tuple[str, ...]) -> Version | None:
    for name in distributions:
        try:
            return Version(metadata.version(name))
        except metadata.PackageNotFoundError:
            continue
    return None


def check_versions() -> None:
    """Check that the packages below cbnet are there and new enough.

    Raises:
        ImportError: names the package, what was found, what is needed and
            the command that installs it.
    """
    for name, (distributions, oldest) in STACK.items():
        found = _installed(distributions)
        if found is None or found < Version(oldest):
            raise ImportError(
                f'cbnet needs {name} >= {oldest}, found '
                f"{found or 'none'}; run: pip install 'cbnet[openmmlab]'"
            )
