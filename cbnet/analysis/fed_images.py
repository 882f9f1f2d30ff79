"""Make the images that a config feeds to its model, after augmentation.

The config's own data set with its wrappers and pipelines, its sampler and
batch sampler, and the model's data preprocessor make the batches, so that
images are mixed and padded as they are in training.
"""

import copy
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
from mmengine.dataset import BaseDataset
from mmengine.logging import MessageHub
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed
from mmengine.structures import InstanceData
from torch import Tensor
from torch.utils.data import DataLoader

from ..datasets.checked_pipelines import naming, not_passing
from ..datasets.kept import describe_kept
from ..datasets.walking import innermost_datasets
from ..errors import UserValueError
from ..quiet import quiet_output


@dataclass
class FedImage:
    """One image of a batch, as the model receives it.

    Attributes:
        name: the file name, of the first image if several are mixed.
        instead_of: the file name of the image that the pipeline refused
            and this one replaces, or an empty string.
        details: the size, the scale, the flip, and the branch if there are
            several.
        pixels: RGB uint8 (H, W, 3) with the padding, normalisation undone.
        content: the height and width without the padding.
        instances: the ground truth: ``bboxes`` (n, 4) as xyxy in pixels,
            ``labels`` (n,), ``ignored`` (n,), true for crowds, and perhaps
            ``masks`` (n, H, W).
    """

    name: str
    instead_of: str
    details: str
    pixels: np.ndarray
    content: tuple[int, int]
    instances: InstanceData


class FedImages:
    """The images that a config feeds to its model.

    Args:
        cfg: the config, which is not changed.
        split: ``train``, ``val`` or ``test``.
        seed: the seed of the sampler and of the augmentations.

    Attributes:
        classes: the names of the labels.
        notes: the lines about filtered images and about the preprocessor.

    Raises:
        ValueError: there is no such dataloader, or its data cannot be read.
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
        settings = cfg.model.get('data_preprocessor') or {}
        self._preprocessor = (
            MODELS.build(settings) if settings else BaseDataPreprocessor()
        )
        # The branches of a semi-supervised model share one preprocessor.
        settings = settings.get('data_preprocessor', settings)
        self._colours = getattr(
            self._preprocessor, 'data_preprocessor', self._preprocessor
        )
        # Images are loaded as BGR, and both options swap that.
        self._rgb = settings.get('bgr_to_rgb') or settings.get('rgb_to_bgr')
        meta = getattr(self._dataset, 'metainfo', {})
        self.classes: list[str] = list(meta.get('classes', ()))
        self.notes = [
            line
            for one in innermost_datasets(self._dataset)
            if isinstance(one, BaseDataset)
            for line in describe_kept(one)
        ]
        self.notes.append(self._describe())

    def __iter__(self) -> Iterator[FedImage]:
        """Yield the images batch by batch, for as long as the sampler does.

        Raises:
            ValueError: an image cannot be loaded; the message names it.
        """
        for step, indices in enumerate(self._loader.batch_sampler):
            # mmengine's runner tells the batch augmentations the iteration.
            MessageHub.get_current_instance().update_info('iter', step)
            samples, paths = zip(*map(self._sample, indices), strict=True)
            batch = self._loader.collate_fn(list(samples))
            with torch.no_grad():
                fed = self._preprocessor(batch, self._training)
            inputs, samples = fed['inputs'], fed['data_samples']
            if not isinstance(inputs, dict):  # there is only one branch
                inputs, samples = {'': inputs}, {'': samples}
            for branch, images in inputs.items():
                shown = zip(images, samples[branch], paths, strict=False)
                for image in shown:
                    yield self._image(branch, *image)

    def _sample(self, index: int) -> tuple[Any, str]:
        describe = getattr(self._dataset, 'get_data_info', None)
        image = describe(index) if describe else {}
        path = image.get('img_path', '')
        with naming(path, not_passing(image)):
            return self._dataset[index], path

    def _image(
        self, branch: str, inputs: Tensor, sample: DetDataSample, asked: str
    ) -> FedImage:
        pixels = self._restore(inputs)
        size, meta = pixels.shape[:2], sample.metainfo
        path = str(meta.get('img_path') or asked)
        content = tuple(meta.get('img_shape', size)[:2])
        details = [branch, *_details(meta, size, content)]
        if 'labels' not in sample.get('gt_instances', ()):
            details.append('no ground truth in the pipeline')
        return FedImage(
            name=Path(path).name,
            # The data set takes another image if a pipeline refuses one.
            instead_of=Path(asked).name if asked and path != asked else '',
            details=', '.join(filter(None, details)),
            pixels=pixels,
            content=content,
            instances=_instances(sample, size),
        )

    def _restore(self, inputs: Tensor) -> np.ndarray:
        """Undo the normalisation of (C, H, W); return RGB uint8 (H, W, 3)."""
        inputs = inputs.detach().cpu().float()
        if hasattr(self._colours, 'mean'):
            mean, std = self._colours.mean.cpu(), self._colours.std.cpu()
            inputs = inputs * std + mean
        inputs = inputs.expand(3, -1, -1)
        if not self._rgb:
            inputs = inputs.flip(0)
        return inputs.round().clamp(0, 255).byte().permute(1, 2, 0).numpy()

    def _describe(self) -> str:
        """Describe the channels, the statistics and the padding."""
        parts = [f'fed as {"RGB" if self._rgb else "BGR"}']
        for name in ('mean', 'std'):
            if hasattr(self._colours, name):
                values = getattr(self._colours, name).flatten().tolist()
                parts.append(f'{name} {" ".join(f"{v:g}" for v in values)}')
        divisor = getattr(self._colours, 'pad_size_divisor', 1)
        if divisor > 1:
            parts.append(f'padded to multiples of {divisor}')
        return ', '.join(parts)


def _build(loader: dict, split: str, seed: int) -> DataLoader:
    """Build a dataloader that works in this process, without workers."""
    loader = copy.deepcopy(loader)
    loader.update(num_workers=0, persistent_workers=False, pin_memory=False)
    loader.pop('prefetch_factor', None)
    try:
        with quiet_output():  # pycocotools talks
            return Runner.build_dataloader(loader, seed=seed)
    except Exception as error:  # files of any kind, read by mmdet
        files = [
            str(Path(dataset.get('data_root') or '', dataset['ann_file']))
            for dataset in innermost_datasets(loader['dataset'])
            if dataset.get('ann_file')
        ]
        reason = f'{type(error).__name__}: {error}'
        if 'need at least one array to concatenate' in reason:
            reason = (
                'no image is left; all were filtered out, because they have '
                'no object of metainfo.classes or are smaller than '
                'filter_cfg.min_size'
            )
        raise UserValueError(
            f'{split}_dataloader ({", ".join(files) or "its data set"}): '
            f'{reason}'
        ) from error


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


def _instances(sample: DetDataSample, size: tuple) -> InstanceData:
    """Join the annotated objects and, after them, the ignored ones."""
    groups = []
    for name in ('gt_instances', 'ignored_instances'):
        found = sample.get(name, {})
        if 'labels' not in found:
            continue
        group = InstanceData(
            bboxes=get_box_tensor(found.bboxes).cpu(),
            labels=found.labels.cpu(),
            ignored=torch.full((len(found),), name == 'ignored_instances'),
        )
        if 'masks' in found:
            group.masks = _padded(found.masks.to_ndarray(), size)
        groups.append(group)
    if groups:
        return InstanceData.cat(groups)
    none = torch.zeros(0, dtype=torch.long)
    return InstanceData(bboxes=torch.zeros(0, 4), labels=none, ignored=none)


def _padded(masks: np.ndarray, size: tuple) -> np.ndarray:
    """Pad masks like their image, if the preprocessor did not."""
    padded = np.zeros((len(masks), *size), bool)
    height, width = masks.shape[1:]
    padded[:, :height, :width] = masks[:, : size[0], : size[1]]
    return padded
