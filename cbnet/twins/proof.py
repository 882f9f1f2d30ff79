"""Do two detectors compute the same from the same images?

What they compute is compared in the order of computation, so that the first
difference names the place where it begins: the backbone's maps, then what
the neck and each part of the heads return, then the detections.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from ..engine.probe import exactly, fixed_image, named_tensors
from ..errors import UserValueError
from ..inference import Inferencer
from ..inference.media import find_images

Image = Path | np.ndarray
_DEPTH = 2  # roi_head.bbox_head is one of the parts that are compared
_NAMES = dict(pred_instances='detections')


@dataclass(frozen=True)
class Difference:
    """How far two detectors are apart.

    Attributes:
        largest: the largest difference of two numbers.
        place: the first output that differs; empty if none does.
        outputs: the number of outputs that were compared.
        images: the number of images.
        detections: the number of detections of the first detector.
    """

    largest: float = 0.0
    place: str = ''
    outputs: int = 0
    images: int = 0
    detections: int = 0


def proof_images(
    cfg: Config, given: Sequence[Path], out: Path, most: int = 2
) -> tuple[list[Image], str]:
    """Find images to compare two detectors with.

    Args:
        cfg: the config of the detector.
        given: images and folders; without them, the images of the config's
            test data are used, and without those the image of fingerprints.
        out: a folder whose images are not used.
        most: the number of images that are used at most of each folder.

    Returns:
        The images, and what they are called.

    Raises:
        ValueError: what was given is no image, or a folder without any.
    """
    if given:
        try:
            found = [[*find_images(one, out).values()] for one in given]
        except UserValueError as error:
            raise UserValueError(f'--images: {error}') from error
        images = [path for paths in found for path in paths[:most]]
        return images, 'given images'
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    prefix = (dataset.get('data_prefix') or {}).get('img') or ''
    folder = Path(dataset.get('data_root') or '', prefix)
    if (prefix or dataset.get('data_root')) and folder.is_dir():
        images = find_images(folder, out)
        return [*images.values()][:most], f'images of {folder}'
    pixels = fixed_image().permute(1, 2, 0).numpy()
    return [np.ascontiguousarray(pixels)], 'image of fingerprints'


def compare_detectors(
    before: tuple[Config, Path],
    after: tuple[Config, Path],
    images: Sequence[Image],
) -> Difference:
    """Compare two detectors, on the CPU in full precision.

    Args:
        before: the config and the checkpoint of the first detector.
        after: those of the second one.
        images: image files, or pixels as BGR uint8 (H, W, 3).
    """
    detectors = [
        Inferencer(cfg, str(checkpoint), 'cpu')
        for cfg, checkpoint in (before, after)
    ]
    largest, place, outputs, detections = 0.0, '', 0, 0
    for image in images:
        pair = [_outputs(detector, image) for detector in detectors]
        (first, found), (second, _) = pair
        detections += found
        for name in {**first, **second}:
            apart = _distance(first.get(name), second.get(name))
            outputs += 1
            largest = max(largest, apart)
            place = place or (name if apart else '')
    return Difference(largest, place, outputs, len(images), detections)


def _outputs(detector: Inferencer, image: Image) -> tuple[dict, int]:
    """Compute all outputs from an image by name, and count detections."""
    batch = detector.batch([detector.read(image)])
    with _kept(detector.model) as found, exactly(torch.device('cpu')):
        (sample,) = detector.model.test_step(batch)
    for kind in sorted(sample.all_keys()):  # panoptic maps, too
        if kind.startswith('pred_'):
            name = _NAMES.get(kind, kind)
            found += named_tensors(name, sample.get(kind))
    counts: dict[str, int] = {}
    outputs = {}
    for name, value in found:  # heads run once for each level or stage
        k = counts[name] = counts.get(name, -1) + 1
        outputs[f'{name} (call {k})' if k else name] = value
    return outputs, len(sample.get('pred_instances', ()))


@contextmanager
def _kept(model: nn.Module) -> Iterator[list[tuple[str, Tensor]]]:
    """Keep what the backbone and each part outside of it return."""
    found: list[tuple[str, Tensor]] = []

    def keep(name: str, output: Any) -> None:
        found.extend((n, y.clone()) for n, y in named_tensors(name, output))

    handles = [
        module.register_forward_hook(
            lambda module, inputs, output, name=name: keep(name, output)
        )
        for name, module in _parts(model)
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _parts(model: nn.Module) -> Iterable[tuple[str, nn.Module]]:
    for name, module in model.named_modules():
        inside = name.startswith(('backbone.', 'data_preprocessor'))
        if name and not inside and name.count('.') < _DEPTH:
            yield name, module


def _distance(a: Tensor | None, b: Tensor | None) -> float:
    """Return the largest difference; infinity if there is no counterpart."""
    if a is None or b is None or a.shape != b.shape:
        return float('inf')
    a, b = a.double(), b.double()
    same = (a == b) | (a.isnan() & b.isnan())
    apart = torch.where(same, 0.0, (a - b).abs())
    return apart.nan_to_num(float('inf')).max().item() if a.numel() else 0.0
