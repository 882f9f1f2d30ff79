"""A detector with its weights, its class names and its test pipeline."""

import copy
import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmdet.registry import DATASETS, MODELS
from mmdet.structures import DetDataSample
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.device import get_device
from mmengine.model import BaseTTAModel, revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from PIL import Image
from torch import nn

from ..engine.checkpoint_fit import check_fit
from ..errors import UserValueError


class Detector:
    """What it takes to detect, outside of a run of mmengine.

    Args:
        cfg: the config that the model was trained with; the one inside the
            checkpoint is never looked at.
        checkpoint: file or address of the weights; None: the weights that
            training starts from.
        device: where the model runs; None: a GPU where there is one.

    Raises:
        ValueError: there is no such device, or the weights cannot be read
            or do not fit the config.
    """

    def __init__(
        self,
        cfg: Config,
        checkpoint: str | None = None,
        device: str | None = None,
    ) -> None:
        device = device or get_device()
        _require_device(device)
        init_default_scope(cfg.get('default_scope', 'mmdet'))
        self.model = revert_sync_batchnorm(MODELS.build(cfg.model))
        meta: dict[str, Any] = {}
        if checkpoint is None:
            with _readable('a pretrained file'):
                self.model.init_weights()
        else:
            meta, weights = _read(checkpoint)
            several = isinstance(self.model, BaseTTAModel)
            bare = self.model.module if several else self.model
            _load(bare, weights, checkpoint)
        self.model.to(device).eval()
        #: names of the labels, in their order
        self.classes = _classes(meta) or _config_classes(cfg)
        load, *rest = get_test_pipeline_cfg(cfg)
        self._from_file = Compose([load])
        self._from_pixels = Compose(
            [{**load, 'type': 'mmdet.LoadImageFromNDArray'}]
        )
        self._rest = Compose(rest)

    def read(self, path: str | os.PathLike) -> dict[str, Any]:
        """Read a picture as the test pipeline does.

        Returns:
            The pipeline's data so far; ``img`` is BGR of shape (H, W, 3).

        Raises:
            ValueError: it is no picture, or cut short.
        """
        try:
            # The pipeline's decoder fills up a file that is cut short.
            with Image.open(path) as picture:
                picture.load()
            return self._from_file(dict(img_path=str(path), img_id=0))
        # Decoders raise whatever they like.
        except Exception as error:
            raise UserValueError(str(error)) from error

    def take(self, pixels: np.ndarray) -> dict[str, Any]:
        """Take a picture that is read already: BGR uint8 (H, W, 3)."""
        return self._from_pixels(dict(img=pixels, img_id=0))

    def batch(self, pictures: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Finish the test pipeline: ``inputs`` and ``data_samples``."""
        return pseudo_collate([self._rest(dict(data)) for data in pictures])

    @torch.no_grad()
    def detect(
        self, pictures: Sequence[dict[str, Any]]
    ) -> list[DetDataSample]:
        """Detect in pictures that were read or taken, in one batch.

        Returns:
            For each picture ``pred_instances``: bboxes (n, 4), xyxy in its
            pixels, labels (n,), scores (n,) and perhaps masks (n, H, W).
        """
        return self.model.test_step(self.batch(pictures))


def _require_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    # No CUDA in this torch is an AssertionError.
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserValueError(f'device {device!r}: {reason}') from error


@contextmanager
def _readable(source: str) -> Iterator[None]:
    """Turn what the reading of weights raises into a line with its file."""
    try:
        yield
    except (EOFError, OSError, RuntimeError, pickle.UnpicklingError) as error:
        reason = str(error).strip().partition('\n')[0]
        if source not in reason:
            reason = f'{source} cannot be read: {reason}'
        raise UserValueError(reason) from error


def _read(checkpoint: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a checkpoint's metadata and its weights."""
    with _readable(checkpoint):
        file = CheckpointLoader.load_checkpoint(
            checkpoint, map_location='cpu', logger='silent'
        )
    weights = file.get('state_dict', file) if isinstance(file, dict) else None
    if not isinstance(weights, dict) or not weights:
        raise UserValueError(f'{checkpoint} holds no weights (state_dict)')
    return file.get('meta') or {}, weights


def _load(model: nn.Module, weights: dict[str, Any], checkpoint: str) -> None:
    """Load weights that fit; a file may hold more, but for the backbone."""
    check_fit(weights, model, checkpoint, complete=True)
    weights = {n.removeprefix('module.'): w for n, w in weights.items()}
    model.load_state_dict(weights, strict=False)


def _classes(meta: dict[str, Any]) -> tuple[str, ...]:
    """Names that a checkpoint's metadata hold; before mmdet 3 in capitals."""
    names = {k.lower(): v for k, v in meta.get('dataset_meta', meta).items()}
    return tuple(names.get('classes') or ())


def _config_classes(cfg: Config) -> tuple[str, ...]:
    """Names of the config's test data set, whose files are not read."""
    dataset = copy.deepcopy(cfg.test_dataloader.dataset)
    metainfo = DATASETS.build({**dataset, 'lazy_init': True}).metainfo
    if not metainfo.get('classes'):
        raise UserValueError(
            'neither the checkpoint nor test_dataloader.dataset of the '
            'config names the classes; set metainfo.classes there'
        )
    return tuple(metainfo['classes'])
