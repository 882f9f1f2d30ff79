"""Run a detector with its weights, its class names and its test pipeline."""

import copy
import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmcv.transforms import LoadAnnotations
from mmdet.registry import DATASETS, MODELS, TRANSFORMS
from mmdet.structures import DetDataSample
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.device import get_device
from mmengine.model import BaseTTAModel, revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from mmengine.structures import InstanceData
from torch import nn

from ..arguments import explained
from ..checkpoints.weight_files import find_weights, warn_of_changes
from ..datasets.checked_images import CheckedLoadImageFromFile
from ..datasets.checked_pipelines import naming, not_passing
from ..datasets.walking import walk_dicts
from ..engine.checkpoint_fit import check_fit
from ..engine.fast_inference import make_fast
from ..engine.run_length_masks import run_length_masks
from ..engine.verification import verify_outputs, verify_weights
from ..errors import UserError, UserValueError
from ..messages import listed
from ..tta.detections import enclose_masks
from ..type_names import type_name


class Inferencer:
    """A detector that is ready to detect.

    Unlike mmdet's ``DetInferencer``, it never uses the config text inside a
    checkpoint, and it refuses weights that do not fit the model and images
    that are cut short.

    Args:
        cfg: the config that the model was trained with.
        checkpoint: the file or address of the weights; None takes the
            weights that training starts from.
        device: the device that the model runs on; None takes a GPU if there
            is one.
        verify: whether to compare the checkpoint and the model with the
            fingerprint in the checkpoint.
        fast: whether to fold norms into convolutions and to lay out maps as
            channels last; detections are the same up to rounding.
        run_lengths: whether masks may be lists of COCO's run lengths, which
            takes less time for detectors with a mask head for regions.

    Attributes:
        model: the detector, or the test-time augmentation around it; if
            ``fast``, some of its layers have other names.
        classes: the names of the labels, in their order.

    Raises:
        ValueError: there is no such device, or the weights cannot be read
            or do not fit the config or the fingerprint.
    """

    def __init__(
        self,
        cfg: Config,
        checkpoint: str | None = None,
        device: str | None = None,
        verify: bool = False,
        fast: bool = False,
        run_lengths: bool = False,
    ) -> None:
        self._runs = run_lengths
        device = device or get_device()
        _require_device(device)
        init_default_scope(cfg.get('default_scope', 'mmdet'))
        with explained('the model of the config cannot be built'):
            # Some detectors, such as DINO, write into their config.
            model = MODELS.build(copy.deepcopy(cfg.model))
            self.model = revert_sync_batchnorm(model)
        augmented = isinstance(self.model, BaseTTAModel)
        bare = self.model.module if augmented else self.model
        classes, made = (), None
        if checkpoint is None:
            with _readable('a pretrained file'):
                self.model.init_weights()
        else:
            file = _read(checkpoint)
            classes = _load(bare, file, checkpoint)
            made = verify_weights(file, checkpoint) if verify else None
        self.model.to(device).eval()
        if made:
            verify_outputs(bare, made, checkpoint)
        if fast:
            make_fast(self.model)
        self.classes = classes or _config_classes(cfg)
        with explained('the test pipeline of the config cannot be built'):
            self._build_pipeline(*get_test_pipeline_cfg(cfg))

    def _build_pipeline(self, load: dict[str, Any], *rest: Any) -> None:
        from_file = load['type']
        if type_name(load) == 'LoadImageFromFile':
            from_file = CheckedLoadImageFromFile
        self._from_file, self._from_pixels = (
            Compose([{**load, 'type': kind}])
            for kind in (from_file, 'mmdet.LoadImageFromNDArray')
        )
        # What is detected in may have no annotations, and needs none.
        self._rest = Compose([step for step in rest if not _annotates(step)])

    def read(self, image: str | os.PathLike | np.ndarray) -> dict[str, Any]:
        """Load an image as the test pipeline does.

        Args:
            image: the image file, or its pixels as BGR uint8 (H, W, 3).

        Returns:
            The pipeline's data so far; ``img`` is BGR of shape (H, W, 3).

        Raises:
            UserError: the file is not an image, or it is cut short.
        """
        if isinstance(image, np.ndarray):
            return self._from_pixels(dict(img=image, img_id=0))
        # A config may have a loader of its own, which raises anything.
        with naming(str(image), 'cannot be read'):
            return self._from_file(dict(img_path=str(image), img_id=0))

    def batch(self, images: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Finish the test pipeline: ``inputs`` and ``data_samples``.

        Raises:
            UserError: an image does not pass the pipeline.
        """
        finished = []
        for data in images:
            with naming(data.get('img_path'), not_passing(data)):
                finished.append(self._rest(dict(data)))
        return pseudo_collate(finished)

    @torch.no_grad()
    def detect(self, images: Sequence[dict[str, Any]]) -> list[InstanceData]:
        """Detect in images that were read, in one batch.

        Returns:
            The detections of each image, see :func:`best_first`.

        Raises:
            UserError: an image does not pass the pipeline, or the detector
                fails, such as for want of memory; the message names the
                first image of the batch.
        """
        batch = self.batch(images)
        what = 'stops the detector'
        first = next(iter(images), {}).get('img_path')
        with naming(first, what), run_length_masks(self.model, self._runs):
            return list(map(best_first, self.model.test_step(batch)))


def best_first(prediction: DetDataSample) -> InstanceData:
    """Return an image's detections on the CPU, sorted by score.

    Args:
        prediction: the detector's output, in pixels of the image.

    Returns:
        ``bboxes`` (n, 4) as xyxy, ``labels`` (n,), ``scores`` (n,), and
        perhaps ``masks`` (n, H, W) or run lengths.  If the detector gives
        masks only, the boxes enclose them.

    Raises:
        ValueError: the detector predicts no instances.
    """
    if 'pred_instances' not in prediction:
        raise UserValueError(
            f'the detector predicts no instances, but '
            f'{listed(k for k in prediction.keys() if k.startswith("pred_"))}'
            f'; give the config of a detector of boxes or masks'
        )
    found = enclose_masks(prediction.pred_instances.cpu())
    return found[found.scores.argsort(descending=True, stable=True)]


def _annotates(step: dict[str, Any]) -> bool:
    """Tell whether a step of a pipeline loads annotations."""
    kind = step['type']
    kind = TRANSFORMS.get(kind) if isinstance(kind, str) else kind
    return isinstance(kind, type) and issubclass(kind, LoadAnnotations)


def _require_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    # torch raises an AssertionError if it was built without CUDA.
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserValueError(f'device {device!r}: {reason}') from error


@contextmanager
def _readable(source: str) -> Iterator[None]:
    """Turn an error in reading weights into one line that names the file."""
    try:
        yield
    except UserError:
        raise
    except (EOFError, OSError, RuntimeError, pickle.UnpicklingError) as error:
        reason = str(error).strip().partition('\n')[0]
        if source not in reason:
            reason = f'{source} cannot be read: {reason}'
        raise UserValueError(reason) from error


def _read(checkpoint: str) -> Mapping[str, Any]:
    """Read a file or an address."""
    with _readable(checkpoint):
        file = CheckpointLoader.load_checkpoint(
            checkpoint, map_location='cpu', logger='silent'
        )
    return file if isinstance(file, Mapping) else {}


def _load(
    model: nn.Module, file: Mapping[str, Any], source: str
) -> tuple[str, ...]:
    """Load weights that fit; return the names of the file's classes, if any.

    Outside the backbone, a file may hold more than the model.
    """
    check_fit(file, model, source, complete=True).log()
    warn_of_changes(file, source)
    model.load_state_dict(find_weights(file), strict=False)
    meta = file.get('meta') or {}
    meta = meta.get('dataset_meta', meta)
    # mmdet 2 wrote CLASSES.
    return tuple(meta.get('classes') or meta.get('CLASSES') or ())


def _config_classes(cfg: Config) -> tuple[str, ...]:
    """Return the names of the config's test data set, without its files."""
    dataset = copy.deepcopy(cfg.test_dataloader.dataset)
    for one in walk_dicts(dataset):
        # It may load annotations, for which a package may be missing.
        if 'pipeline' in one:
            one['pipeline'] = []
    metainfo = DATASETS.build({**dataset, 'lazy_init': True}).metainfo
    if not metainfo.get('classes'):
        raise UserValueError(
            'neither the checkpoint nor test_dataloader.dataset of the '
            'config names the classes; set metainfo.classes there'
        )
    return tuple(metainfo['classes'])
