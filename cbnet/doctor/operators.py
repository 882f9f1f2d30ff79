"""Where every operator of ``mmcv.ops`` comes from."""

import ast
import importlib.util
import re
from pathlib import Path


def operator_names() -> list[str]:
    """List the operators that mmcv's own Python files ask for.

    They name them in calls ``load_ext('_ext', [...])``.
    """
    (folder,) = importlib.util.find_spec('mmcv').submodule_search_locations
    names = set()
    for file in Path(folder, 'ops').glob('*.py'):
        for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == 'load_ext'
            ):
                names |= set(ast.literal_eval(node.args[1]))
    return sorted(names)


def operator_sources() -> dict[str, str]:
    """Give the source of each operator in this process.

    Returns:
        Operator name -> ``compiled``, ``torchvision``, ``torch`` or
        ``not served``.

    Raises:
        ImportError: there is a compiled module that cannot be loaded.
    """
    from cbnet.compat import install_ops, served_ops

    if install_ops():
        found = served_ops()
    else:
        found = dict.fromkeys(
            dir(importlib.import_module('mmcv._ext')), 'compiled'
        )
    return {name: found.get(name, 'not served') for name in operator_names()}


def group_by_source(sources: dict[str, str]) -> dict[str, list[str]]:
    """Sort operators by source, in few words.

    ``x_forward`` and ``x_backward`` are called ``x`` where one source has
    both.
    """
    families: dict[str, set[str]] = {}
    for name, source in sources.items():
        families.setdefault(_family(name), set()).add(source)
    groups: dict[str, set[str]] = {}
    for name, source in sources.items():
        family = _family(name)
        shared = len(families[family]) > 1
        groups.setdefault(source, set()).add(name if shared else family)
    order = ['compiled', 'torchvision', 'torch', 'not served']
    return {kind: sorted(groups[kind]) for kind in order if kind in groups}


def _family(name: str) -> str:
    return re.sub(r'_(forward|backward)(_\w+)?$', '', name)
