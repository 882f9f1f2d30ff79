"""Keep the maps of a frozen member on disk, for images that come again.

The maps of a frozen first member depend on nothing but the image, its weights
and its settings, so the key is made of these.  Each image of a batch has maps
of its own, which are computed alone: so they do not depend on which of the
others were found.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import torch
from annotated_types import Gt
from mmengine.logging import print_log
from torch import Tensor
from torch.distributed.tensor import DTensor

from ...errors import UserValueError
from ...version import __version__
from ..options import Options
from .base import MemberAdapter
from .map_folder import MapFolder
from .weight_hash import remembered_hash

_FORMAT = 1
_LAST = 'channels last'
# Another version may compute something else.
_PACKAGES = 'torch', 'timm', 'mmcv', 'mmdet'


@dataclass(frozen=True)
class CacheSettings(Options):
    """Where the maps of a frozen member are kept.

    Attributes:
        folder: the folder, which several processes may use.
        gigabytes: the room that its files of maps may take, in 10^9 bytes.
    """

    key = 'cache'

    folder: str | None = None
    gigabytes: Annotated[float, Gt(0)] = 10.0


#: what a member takes as ``cache``
Cache = Annotated[dict[str, Any], CacheSettings] | None


class MapCache:
    """The maps of one member, by image.

    Args:
        settings: what the config says.
        cfg: the config of the member's backbone.
        title: the name of the member, for errors and the log.

    Raises:
        ValueError: there is no folder, or the backbone has no config.
    """

    def __init__(
        self, settings: dict[str, Any], cfg: Mapping[str, Any], title: str
    ) -> None:
        wanted = CacheSettings().updated(settings)
        if not wanted.folder:
            raise UserValueError(
                f'{title}: cache has no folder; give '
                f"cache=dict(folder='DIR', gigabytes=10)"
            )
        if not cfg:
            raise UserValueError(
                f'{title}: cache needs the backbone as a config, because the '
                f'maps are kept under its settings, and it is given as a '
                f'built object'
            )
        self.title = title
        self.files = MapFolder(wanted.folder, int(wanted.gigabytes * 1e9))
        # The weights count by their hash, wherever they come from.
        own = {name: v for name, v in cfg.items() if name != 'init_cfg'}
        packages = [import_module(name).__version__ for name in _PACKAGES]
        self._fixed = [_FORMAT, __version__, packages, own]
        self._known: dict[str, Any] = {}
        self._sharded = False

    def serves(self, member: MemberAdapter, images: Tensor) -> bool:
        """Tell whether maps can be kept: there are numbers to compute with.

        Of a member that FSDP shards, all processes compute at once, so that
        one which has found its maps would leave the others waiting.
        """
        self._sharded |= _is_sharded(member)
        traced = torch.compiler.is_compiling() or torch.jit.is_tracing()
        return not (self._sharded or traced or images.is_meta)

    def forget(self, member: MemberAdapter) -> None:
        """Hash the weights again, and log how many maps were found.

        Not every change of a weight can be noticed without reading it.
        """
        self._known = {}
        self._sharded |= _is_sharded(member)
        hits, every = self.files.hits, self.files.hits + self.files.misses
        if every:
            print_log(
                f'{self.title}: the maps of {hits} of {every} images were '
                f'found in {self.files.folder}',
                logger='current',
            )
        self.files.hits = self.files.misses = 0

    def run(
        self, member: MemberAdapter, images: Tensor, end: int
    ) -> dict[int, Tensor]:
        """Give the outputs of the stages before ``end``, without the stem's.

        Args:
            member: the member.
            images: what it sees (B, C, H, W).
            end: the number of stages to run.
        """
        around = self._around(member, images, end)
        found = [self._of(member, one, end, around) for one in images.split(1)]
        return {i: torch.cat([maps[i] for maps in found]) for i in range(end)}

    def _of(
        self, member: MemberAdapter, image: Tensor, end: int, around: str
    ) -> dict[int, Tensor]:
        key = f'{around} {_content(image)}'
        kept = self.files.read(key)
        if kept is None:
            run = member.run(image, lambda stage, size: None, end)
            kept = dict(_packed(i, run.outputs[i]) for i in range(end))
            self.files.write(key, kept)
        return dict(_unpacked(n, y.to(image.device)) for n, y in kept.items())

    def _around(self, member: MemberAdapter, images: Tensor, end: int) -> str:
        """Describe all but the image that the maps depend on."""
        kind = images.device.type
        precision = torch.get_float32_matmul_precision()
        if kind == 'cuda':
            device = torch.cuda.get_device_name(images.device)
            precision += f' {torch.backends.cudnn.allow_tf32}'
        else:
            threads = torch.get_num_threads()  # they divide sums
            device = f'{torch.backends.cpu.get_cpu_capability()} {threads}'
        autocast = torch.is_autocast_enabled(kind)
        weights = remembered_hash(member.backbone, self._known)
        settings = [
            *self._fixed,
            end,
            weights.int().tolist(),
            (kind, device, precision),
            autocast and torch.get_autocast_dtype(kind),
            member.fast,
        ]
        return repr(settings)


def _is_sharded(member: MemberAdapter) -> bool:
    # While FSDP computes, some weights look as if they were whole.
    return any(isinstance(p, DTensor) for p in member.backbone.parameters())


def _packed(stage: int, y: Tensor) -> tuple[str, Tensor]:
    """Name a map, and put it into the order in which it is laid out."""
    # A convolution of another layout rounds otherwise.
    last = not y.is_contiguous() and y.permute(0, 2, 3, 1).is_contiguous()
    if last:
        return f'{stage} {_LAST}', y.permute(0, 2, 3, 1)
    return f'{stage}', y.contiguous()


def _unpacked(name: str, y: Tensor) -> tuple[int, Tensor]:
    stage, _, layout = name.partition(' ')
    return int(stage), y.permute(0, 3, 1, 2) if layout == _LAST else y


def _content(image: Tensor) -> str:
    data = image.detach().cpu().contiguous()
    found = hashlib.sha256(data.reshape(-1).view(torch.uint8).numpy())
    return f'{data.dtype} {tuple(data.shape)} {found.hexdigest()}'
