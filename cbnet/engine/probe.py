"""What a detector computes from one fixed image, as a few numbers per output.

The image is arithmetic.  The outputs are those before any selection: the
maps of each member, the neck's, and what the heads return, RoI heads for
fixed boxes.  Detections would not do: a difference in the last digit can
change the order of two scores, and with it everything after.
"""

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor, nn

from ..checkpoints.fingerprint import Recorded
from ..messages import one_line
from ..models.backbones import CompositeBackbone

#: The difference that another machine or stack may make, relative to the
#: root mean square of an output.  Threads, memory formats, other kernels and
#: float64 were measured to make up to 2.3e-5.
TOLERANCE = 5e-4
# Odd, so that padding and rounding at the borders count.
_SIZE = (157, 221)
# Of the waves that an output is projected onto, per entry; no two have a
# common period.
_FREQUENCIES = (0.01, 0.37, 1.13, 2.71)


def fixed_image() -> Tensor:
    """Make the image, uint8 of shape (3, 157, 221), from whole numbers."""
    y, x = (torch.arange(n) for n in _SIZE)
    y, x = y[None, :, None], x[None, None, :]
    colour = torch.arange(3)[:, None, None]
    coarse = (y // 20 + x // 30) * (40 + 17 * colour)
    fine = y * y * (3 + colour) + x * x * 5 + x * y
    return ((coarse + fine // 8) % 256).to(torch.uint8)


def record_outputs(model: nn.Module) -> Recorded:
    """Record the outputs of a detector, which stays in eval mode.

    Outputs that move by more than a fifth of the tolerance if the image
    changes by a millionth would fail on another machine; a text says so.

    Args:
        model: a detector of mmdet with its weights.

    Returns:
        For each output its root mean square, its mean and its projections
        onto fixed waves, or a text that says why there are none.
    """
    recorded, again = run_probe(model), run_probe(model, change=1e-6)
    for name, values in recorded.items():
        if isinstance(values, str):
            continue
        if not all(map(math.isfinite, values)):
            recorded[name] = 'it is not finite'
        elif stray(again.get(name, ''), values):
            recorded[name] = 'it depends on chance or on near ties'
    return recorded


def distance(found: list[float] | str, recorded: list[float]) -> float:
    """Compare two records of one output, relative to its root mean square.

    Anything that cannot be compared is infinitely far.
    """
    if isinstance(found, str) or len(found) != len(recorded):
        return math.inf
    if not all(map(math.isfinite, (*found, *recorded))):
        return math.inf
    apart = max(abs(a - b) for a, b in zip(found, recorded, strict=True))
    if apart == 0:
        return 0.0
    return apart / recorded[0] if recorded[0] > 0 else math.inf


def stray(found: list[float] | str, recorded: list[float]) -> bool:
    """Tell whether an output moves too far to be worth recording."""
    return distance(found, recorded) > TOLERANCE / 5


def run_probe(model: nn.Module, change: float = 0.0) -> Recorded:
    """Run a detector on the fixed image; see ``record_outputs``.

    Args:
        model: the detector.
        change: how far each number of the image is moved, relatively.
    """
    model.eval()
    outputs: Recorded = {}
    with exactly(next(model.parameters()).device, seed=int(change > 0)):
        try:
            parts = _parts(model, *_prepare(model, change))
        except Exception as error:  # of a model that is not like mmdet's
            return {'image': _reason(error)}
        for part, compute in parts.items():
            try:
                found = dict(named_tensors(part, compute()))
            except Exception as error:  # heads may raise anything
                outputs[part] = _reason(error)
                continue
            outputs |= {
                name: _summary(value)
                for name, value in found.items()
                if value.is_floating_point()
            }
    return outputs


def _reason(error: Exception) -> str:
    return f'it cannot be computed from an image alone: {one_line(error, 200)}'


@contextmanager
def exactly(device: torch.device, seed: int = 0) -> Iterator[None]:
    """Compute without gradients, in full precision, with fixed chance."""
    on_gpu = device.type == 'cuda'
    backends = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [backend.allow_tf32 for backend in backends if on_gpu]
    try:
        for backend, _ in zip(backends, before, strict=False):
            backend.allow_tf32 = False
        with torch.no_grad(), torch.random.fork_rng([device] * on_gpu):
            torch.manual_seed(seed)
            yield
    finally:
        for backend, allowed in zip(backends, before, strict=False):
            backend.allow_tf32 = allowed


def _prepare(
    model: nn.Module, change: float
) -> tuple[Tensor, list[DetDataSample]]:
    """Preprocess the image as the model's ``data_preprocessor`` does."""
    about = dict(img_shape=_SIZE, ori_shape=_SIZE, scale_factor=(1.0, 1.0))
    sample = DetDataSample(metainfo=dict(about, img_id=0, img_path=''))
    packed = dict(inputs=[fixed_image()], data_samples=[sample])
    data = model.data_preprocessor(packed, False)
    images = data['inputs']
    if change:
        waves = torch.arange(images.numel(), device=images.device).cos()
        images = images * (1 + change * waves.view_as(images))
    return images, data['data_samples']


def _parts(
    model: nn.Module, images: Tensor, samples: list[DetDataSample]
) -> dict[str, Callable[[], Any]]:
    """Return a function for each part of the detector that has outputs."""
    backbone = model.backbone
    features = functools.cache(lambda: model.extract_feat(images))
    if isinstance(backbone, CompositeBackbone):
        parts = {'member': lambda: backbone(images, all_members=True)}
    else:
        parts = {'backbone': lambda: backbone(images)}
    if model.with_neck:
        parts['neck'] = features
    if getattr(model, 'roi_head', None) is None:
        parts['head'] = lambda: model(images, samples, mode='tensor')
        return parts
    boxes = [InstanceData(bboxes=_fixed_boxes().to(images.device))]
    if model.with_rpn:
        parts['rpn_head'] = lambda: model.rpn_head(features())
    parts['roi_head'] = lambda: model.roi_head.forward(
        features(), boxes, samples
    )
    return parts


def _fixed_boxes() -> Tensor:
    """Return eight boxes (8, 4) of many sizes, xyxy in pixels."""
    height, width = _SIZE
    corners = [
        (0.1 * k * width, 0.08 * k * height, 8.0 + 11 * k, 6.0 + 9 * k)
        for k in range(8)
    ]
    return torch.tensor([(x, y, x + w, y + h) for x, y, w, h in corners])


def named_tensors(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """Name all tensors in nested outputs."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, BaseDataElement):
        yield from named_tensors(name, dict(value.items()))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from named_tensors(f'{name}.{key}', inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for i, inner in enumerate(value):
            yield from named_tensors(f'{name}.{i}', inner)


def _summary(value: Tensor) -> list[float]:
    """Return root mean square, mean, and projections onto the waves."""
    flat = value.double().cpu().flatten()
    number = max(flat.numel(), 1)
    places = torch.arange(flat.numel(), dtype=torch.float64)
    sums = [(flat * (f * places).cos()).sum() for f in _FREQUENCIES]
    return [
        (flat.square().sum() / number).sqrt().item(),
        flat.sum().item() / number,
        *(total.item() / number**0.5 for total in sums),
    ]
