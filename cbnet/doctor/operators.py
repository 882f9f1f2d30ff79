"""The source of every operator of ``mmcv.ops``."""

import importlib.util
import re
from pathlib import Path

from ..compat import install_ops, served_ops

SOURCES = ('compiled', 'torchvision', 'torch', 'not served')


def operator_names() -> list[str]:
    """List the operators that mmcv's files ask ``load_ext`` for."""
    (folder,) = importlib.util.find_spec('mmcv').submodule_search_locations
    names = set()
    for file in Path(folder, 'ops').glob('*.py'):
        text = file.read_text(encoding='utf-8')
        for listed in re.findall(r"load_ext\(\s*'_ext',\s*\[(.*?)\]", text,
                                 re.DOTALL):  # fmt: skip
            names |= set(re.findall(r"'(\w+)'", listed))
    return sorted(names)


def operator_sources() -> dict[str, str]:
    """Map each operator's name to one of ``SOURCES``.

    Raises:
        ImportError: mmcv has a compiled module, which cannot be loaded.
    """
    if install_ops():
        found = served_ops()
    else:
        compiled = dir(importlib.import_module('mmcv._ext'))
        found = dict.fromkeys(compiled, 'compiled')
    return {name: found.get(name, 'not served') for name in operator_names()}


def group_by_source(sources: dict[str, str]) -> dict[str, list[str]]:
    """Sort operators by source.

    ``x_forward`` and ``x_backward`` become ``x`` if they have one source.
    """
    stem = re.compile(r'_(forward|backward)(_\w+)?$')
    pairs = {(stem.sub('', name), kind) for name, kind in sources.items()}
    families = [family for family, _ in pairs]
    groups: dict[str, set[str]] = {}
    for name, kind in sources.items():
        family = stem.sub('', name)
        shown = family if families.count(family) == 1 else name
        groups.setdefault(kind, set()).add(shown)
    return {kind: sorted(groups[kind]) for kind in SOURCES if kind in groups}
