"""What one run of a battle has found on one split."""

import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ..atomic_files import write_whole
from ..errors import UserValueError
from ..evaluation.coco import CLASS_FIGURES, evaluate
from ..evaluation.matches import draw_samples, find_matches, resampled_ap

#: what a battle calls COCO's kinds of AP
KINDS = {'bbox': 'box', 'segm': 'mask'}
#: the prefix of the results files that ``cbnet test`` writes
RESULTS = 'results'
_FIGURES, _SAMPLES = 'figures.json', 'samples.npz'


@dataclass(frozen=True)
class Figures:
    """The figures of a run on a split; AP is in the range from 0 to 1.

    Attributes:
        figures: ``box AP``, ``box AP50``, ..., ``mask AP``, ... by name; None
            where there is nothing to measure.
        classes: the AP of each class by kind and name.
        samples: the AP of resampled images by kind, of shape (samples,);
            empty if they were not computed.
    """

    figures: dict[str, float | None]
    classes: dict[str, dict[str, float | None]]
    samples: dict[str, np.ndarray]


def write_figures(folder: Path, ann_file: Path, samples: int = 0) -> Figures:
    """Evaluate the results files in a folder, and keep what was found.

    Args:
        folder: the folder, with what ``cbnet test`` left there.
        ann_file: the annotations of the split.
        samples: the number of samples of images; 0 for none.

    Raises:
        ValueError: there are no results files.
    """
    figures: dict[str, float | None] = {}
    classes: dict[str, dict[str, float | None]] = {}
    drawn: dict[str, np.ndarray] = {}
    for iou_type, kind in KINDS.items():
        results = _results_file(folder, iou_type)
        if not results.exists():
            continue
        found = evaluate(ann_file, results, iou_type)
        for name, value in zip(CLASS_FIGURES, found.stats, strict=False):
            figures[f'{kind} {name}'] = _measured(value)
        classes[kind] = {
            row['name']: _measured(row['AP']) for row in found.classwise
        }
        if samples:
            matches = find_matches(ann_file, results, iou_type)
            times = draw_samples(found.images, samples)
            drawn[kind] = resampled_ap(matches, times)
    if not figures:  # kept, they would count as measured
        raise UserValueError(
            f'{folder}: the evaluation has left no {RESULTS}.bbox.json; its '
            f'log there says why'
        )
    if samples:
        file = BytesIO()
        np.savez(file, **drawn)
        write_whole(folder / _SAMPLES, file.getvalue())
    content = dict(figures=figures, classes=classes)
    write_whole(folder / _FIGURES, json.dumps(content, indent=1).encode())
    return Figures(figures, classes, drawn)


def read_figures(folder: Path, drawn: bool = False) -> Figures | None:
    """Read what ``write_figures`` has kept; None if there is nothing.

    Args:
        folder: the folder.
        drawn: whether figures count as nothing if their samples are lost, or
            broken, and all results files are there to draw them again.
    """
    file = folder / _FIGURES
    if not file.exists():
        return None
    content: dict[str, Any] = json.loads(file.read_text())
    samples = _read_samples(folder / _SAMPLES)
    results = [
        _results_file(folder, iou_type)
        for iou_type, kind in KINDS.items()
        if kind in content['classes']
    ]
    if drawn and not samples and all(one.exists() for one in results):
        return None
    return Figures(content['figures'], content['classes'], samples)


def _results_file(folder: Path, iou_type: str) -> Path:
    return folder / f'{RESULTS}.{iou_type}.json'


def _read_samples(file: Path) -> dict[str, np.ndarray]:
    if not file.exists():
        return {}
    try:
        with np.load(file) as kept:
            return dict(kept)
    except (BadZipFile, EOFError, ValueError):  # cut short by a kill
        return {}


def _measured(value: float) -> float | None:
    return None if value == -1 else float(value)
