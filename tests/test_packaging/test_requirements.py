"""Every package that cbnet imports is declared in setup.py.

Packages of mmdet's own requirements count as declared, because cbnet cannot
run without mmdet.
"""

import ast
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def imported():
    """List the top-level packages that cbnet's modules import."""
    for path in (ROOT / 'cbnet').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield node.module


def declared():
    """List the distributions that setup.py or mmdet requires."""
    setup = ast.parse((ROOT / 'setup.py').read_text())
    values = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in setup.body
        if isinstance(node, ast.Assign)
        and node.targets[0].id in ('REQUIRES', 'EXTRAS')
    }
    texts = [*values['REQUIRES'], *sum(values['EXTRAS'].values(), [])]
    for owner in ('mmdet', 'mmengine', 'mmcv-lite'):
        texts += [text for text in requires(owner) if 'extra' not in text]
    return {canonicalize_name(Requirement(text).name) for text in texts}


def test_every_import_is_declared():
    packages = {name.partition('.')[0] for name in imported()}
    packages -= sys.stdlib_module_names | {'cbnet'}
    owners = packages_distributions()
    known = declared()
    missing = [
        package
        for package in sorted(packages)
        if not known
        & {canonicalize_name(n) for n in owners.get(package, [package])}
    ]
    assert missing == []
