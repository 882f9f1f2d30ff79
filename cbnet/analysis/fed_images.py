"""What a detector is fed: a config's batches, after augmentation.

The config's own data set with its wrappers and pipelines, its sampler and
batch sampler, and the model's data preprocessor make the batches, so that
padding and what is mixed are those of a training.
"""

import contextlib
import copy
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import get_box_tensor
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed
from torch.utils.data import DataLoader

from ..errors import UserValueError
from .coco_files import Instance
from .dropped_images import describe_dropped


@dataclass
class FedImage:
    """One image of a batch, as the model sees it.

    Attributes:
        name: File name of its (first) picture.
        instead_of: That of the picture whose turn it was, where the pipeline
            refused that.
        details: Size, scale, flip and what else happened to it.
        pixels: RGB uint8 (H, W, 3) with the padding, normalisation undone.
        content: Height and width without the padding.
        instances: Ground truth; ``category_id`` is the label, or ``-1 -
            label`` for what is ignored (crowds).
    """

    name: str
    instead_of: str
    details: str
    pixels: np.ndarray
    content: tuple[int, int]
    instances: list[Instance]


class FedImages:
    """The images that a config feeds.

    Args:
        cfg: The config, which is left as it is.
        split: ``train``, ``val`` or ``test``.
        seed: Seeds the sampler and the augmentations.

    Attributes:
        classes: Names of the labels.
        notes: What was filtered out, what the preprocessor does.

    Raises:
        ValueError: There is no such dataloader, or its data cannot be read.
    """

    def __init__(self, cfg: Config, split: str = 'train', seed: int = 0):
        loader = cfg.get(f'{split}_dataloader')
        if not loader:
            raise UserValueError(f'the config has no {split}_dataloader')
        init_default_scope(cfg.get('default_scope') or 'mmdet')
        set_random_seed(seed)
        self._training = split == 'train'
        self._loader = _build(loader, split, seed)
        self._dataset = self._loader.dataset
        wanted = cfg.model.get('data_preprocessor')
        self._preprocessor = (
            MODELS.build(wanted) if wanted else BaseDataPreprocessor()
        )
        meta = getattr(self._dataset, 'metainfo', {})
        self.classes: list[str] = list(meta.get('classes', ()))
        self.notes = describe_dropped(self._dataset)
        self.notes.append(_describe(self._preprocessor))

    def __iter__(self) -> Iterator[FedImage]:
        """Give the images batch by batch, as often as the sampler does.

        Raises:
            ValueError: An image cannot be loaded; names it.
        """
        for step, indices in enumerate(self._loader.batch_sampler):
            # What mmengine's runner tells the batch augmentations.
            MessageHub.get_current_instance().update_info('iter', step)
            samples, names = zip(
                *(self._sample(index) for index in indices), strict=True
            )
            batch = self._loader.collate_fn(list(samples))
            with torch.no_grad():
                fed = self._preprocessor(batch, self._training)
            for branch, inputs, data_samples in _branches(fed):
                shown = zip(inputs, data_samples, names, strict=False)
                for pixels, sample, asked in shown:
                    yield self._image(pixels, sample, asked, branch)

    def _sample(self, index: int) -> tuple[Any, str]:
        describe = getattr(self._dataset, 'get_data_info', None)
        path = describe(index).get('img_path', '') if describe else ''
        try:
            return self._dataset[index], path
        except Exception as error:  # a pipeline may fail in any way
            raise UserValueError(
                f'{path or f"image number {index}"} did not pass the '
                f'pipeline: {type(error).__name__}: {error}'
            ) from error

    def _image(
        self,
        inputs: torch.Tensor,
        sample: DetDataSample,
        asked: str,
        branch: str,
    ) -> FedImage:
        pixels = _restore(inputs, self._preprocessor)
        size, meta = pixels.shape[:2], sample.metainfo
        path = str(meta.get('img_path') or asked)
        content = tuple(meta.get('img_shape', size)[:2])
        # The data set takes another image where a pipeline refuses one.
        instead_of = Path(asked).name if asked and path != asked else ''
        details = [branch] if branch else []
        details += _details(meta, size, content)
        instances = list(_instances(sample, size))
        if 'gt_instances' not in sample or 'labels' not in sample.gt_instances:
            details.append('no ground truth in the pipeline')
        return FedImage(
            Path(path).name,
            instead_of,
            ', '.join(details),
            pixels,
            content,
            instances,
        )


def _build(loader: dict, split: str, seed: int) -> DataLoader:
    """Build the dataloader to be read by this process alone."""
    loader = copy.deepcopy(loader)
    loader.update(num_workers=0, persistent_workers=False, pin_memory=False)
    loader.pop('prefetch_factor', None)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools talks
            return Runner.build_dataloader(loader, seed=seed)
    except Exception as error:  # files of any kind, read by mmdet
        files = ', '.join(_files(loader['dataset'])) or 'its data set'
        where = f'{split}_dataloader ({files})'
        if 'need at least one array to concatenate' in str(error):
            raise UserValueError(
                f'{where}: no image is left; all were filtered out, for they '
                'have no object of metainfo.classes or are below '
                'filter_cfg.min_size'
            ) from error
        raise UserValueError(
            f'{where}: {type(error).__name__}: {error}'
        ) from error


def _files(dataset: dict) -> Iterator[str]:
    for key in ('dataset', 'datasets'):
        inner = dataset.get(key) or []
        for one in [inner] if isinstance(inner, dict) else inner:
            yield from _files(one)
    if dataset.get('ann_file'):
        yield str(Path(dataset.get('data_root') or '', dataset['ann_file']))


def _branches(fed: dict) -> Iterator[tuple[str, Any, list]]:
    """Give name, inputs and samples; semi-supervised models have several."""
    inputs, samples = fed['inputs'], fed['data_samples']
    if not isinstance(inputs, dict):
        yield '', inputs, samples
        return
    for name in inputs:
        yield name, inputs[name], samples[name]


def _single(preprocessor: torch.nn.Module) -> torch.nn.Module:
    """Give the preprocessor of one branch, where there are several."""
    return getattr(preprocessor, 'data_preprocessor', preprocessor)


def _is_rgb(preprocessor: torch.nn.Module) -> bool:
    # Images are loaded as BGR; either conversion of mmengine exchanges.
    return getattr(_single(preprocessor), '_channel_conversion', False)


def _restore(
    inputs: torch.Tensor, preprocessor: torch.nn.Module
) -> np.ndarray:
    """Undo the normalisation of (C, H, W), by the order that is declared."""
    inputs, one = inputs.detach().cpu().float(), _single(preprocessor)
    if getattr(one, '_enable_normalize', False):
        inputs = inputs * one.std.cpu() + one.mean.cpu()
    inputs = inputs.expand(3, -1, -1)
    if not _is_rgb(preprocessor):
        inputs = inputs.flip(0)
    return inputs.round().clamp(0, 255).byte().permute(1, 2, 0).numpy()


def _describe(preprocessor: torch.nn.Module) -> str:
    one = _single(preprocessor)
    parts = [f'fed as {"RGB" if _is_rgb(preprocessor) else "BGR"}']
    if getattr(one, '_enable_normalize', False):
        for name in ('mean', 'std'):
            values = getattr(one, name).flatten().tolist()
            parts.append(f'{name} {" ".join(f"{v:g}" for v in values)}')
    divisor = getattr(one, 'pad_size_divisor', 1)
    if divisor > 1:
        parts.append(f'padded to multiples of {divisor}')
    return ', '.join(parts)


def _details(meta: dict, size: tuple, content: tuple) -> Iterator[str]:
    fed = f'{size[1]}x{size[0]}'
    if content != tuple(size):
        fed = f'{content[1]}x{content[0]} in {fed}'
    if 'ori_shape' in meta:
        fed += f' of {meta["ori_shape"][1]}x{meta["ori_shape"][0]}'
    yield fed
    if 'scale_factor' in meta:
        factors = np.atleast_1d(meta['scale_factor'])[:2]
        yield f'scale {"x".join(f"{factor:.3g}" for factor in factors)}'
    if 'flip' in meta:
        yield f'flip {meta["flip_direction"]}' if meta['flip'] else 'no flip'


def _instances(sample: DetDataSample, size: tuple) -> Iterator[Instance]:
    for group, ignored in (
        ('gt_instances', False),
        ('ignored_instances', True),
    ):
        found = sample.get(group)
        if found is None or 'labels' not in found:
            continue
        masks = found.get('masks')
        if masks is not None:
            masks = masks.to_ndarray().astype(bool)
        boxes = get_box_tensor(found.bboxes).cpu().double().numpy()
        for place, label in enumerate(found.labels.tolist()):
            x, y, right, bottom = boxes[place].tolist()
            yield Instance(
                -1 - label if ignored else label,
                (x, y, right - x, bottom - y),
                None if masks is None else _fit(masks[place], size),
            )


def _fit(mask: np.ndarray, size: tuple) -> np.ndarray:
    """Pad a mask like its image, where the preprocessor did not."""
    fitted = np.zeros(size, bool)
    height, width = min(mask.shape[0], size[0]), min(mask.shape[1], size[1])
    fitted[:height, :width] = mask[:height, :width]
    return fitted
