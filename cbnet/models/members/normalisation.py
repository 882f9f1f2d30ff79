"""How images are normalised, and how one member sees them otherwise.

A detector normalises the images for all its members.  A member that was
pretrained with another mean and standard deviation undoes this and applies
its own; nothing changes if both are equal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Gt
from torch import Tensor, nn

from ...errors import UserValueError
from ...messages import brief
from ..options import Options

Three = tuple[float, float, float]


@dataclass(frozen=True)
class Normalisation:
    """What turns pixels from 0 to 255 into a network's input.

    Attributes:
        mean: of each channel, in the order of the channels.
        std: of each channel, in the order of the channels.
        rgb: whether the channels are red, green, blue; else blue comes first.
    """

    mean: Three = (0.0, 0.0, 0.0)
    std: Three = (1.0, 1.0, 1.0)
    rgb: bool = True

    def __post_init__(self) -> None:
        """Round to the numbers that a data preprocessor computes with."""
        for name in ('mean', 'std'):
            numbers = np.float32(getattr(self, name)).tolist()
            object.__setattr__(self, name, tuple(numbers))

    def of(self, images: Tensor, other: 'Normalisation') -> Tensor:
        """Normalise images (B, 3, H, W) that were normalised otherwise.

        What was padded with 0 has the mean colour of the other one.
        """
        if self == other:
            return images
        means, stds = other.mean, other.std
        if self.rgb != other.rgb:
            images, means, stds = images.flip(1), means[::-1], stds[::-1]
        channels = zip(self.mean, self.std, means, stds, strict=True)
        return torch.cat(
            [
                images[:, i : i + 1] * (there / std) + (shift - mean) / std
                for i, (mean, std, shift, there) in enumerate(channels)
            ],
            dim=1,
        )


Known = Literal['clip', 'imagenet', 'timm']
#: those that a member may name
KNOWN = {
    'clip': Normalisation(
        (122.7709383, 116.7460125, 104.09373615),
        (68.5005327, 66.6321579, 70.32316305),
    ),
    'imagenet': Normalisation(
        (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    ),
}


@dataclass(frozen=True)
class PreprocessSettings(Options):
    """How one member sees the images.

    Attributes:
        like: a known mean and std: those of CLIP, of ImageNet, or of the
            member's timm model.
        mean: of each channel, for pixels from 0 to 255.
        std: of each channel, for pixels from 0 to 255.
        rgb: whether mean, std and the member's weights expect red first.
        of: the detector's ``data_preprocessor`` config, which it undoes;
            None: that of the detector to which the composite belongs.
    """

    key = 'preprocess'

    like: Known | None = None
    mean: Sequence[float] | None = None
    std: Sequence[Annotated[float, Gt(0)]] | None = None
    rgb: bool = True
    of: dict[str, Any] | None = None


#: what a member takes as ``preprocess``
Preprocess = Known | Annotated[dict[str, Any], PreprocessSettings] | None


def settle(
    preprocess: Preprocess, backbone: nn.Module, key: str
) -> tuple[Normalisation, Normalisation | None]:
    """Find the normalisation of a member, and that of the detector if given.

    Args:
        preprocess: what the config says.
        backbone: the member's backbone.
        key: the config key, for errors.

    Raises:
        ValueError: the settings do not determine the normalisation.
    """
    if isinstance(preprocess, str):
        preprocess = dict(like=preprocess)
    settings = PreprocessSettings().updated(preprocess)
    given = [n for n in ('like', 'mean', 'std') if preprocess.get(n)]
    if given == ['like']:
        own = _known(settings.like, backbone, key)
    elif given == ['mean', 'std']:
        own = _three(key, settings.mean, settings.std, settings.rgb)
    else:
        raise UserValueError(
            f'{key}={brief(preprocess)}; expected either like, one of '
            f"'clip', 'imagenet' and 'timm', or mean and std, three numbers "
            f'each, for pixels from 0 to 255'
        )
    return own, None if settings.of is None else _configured(settings.of, key)


def _known(like: str, backbone: nn.Module, key: str) -> Normalisation:
    if like != 'timm':
        return KNOWN[like]
    cfg = getattr(getattr(backbone, 'model', None), 'pretrained_cfg', None)
    if not cfg or 'mean' not in cfg or 'std' not in cfg:
        raise UserValueError(
            f"{key}='timm', but {type(backbone).__name__} holds no timm model "
            f"that knows its mean and std; use 'imagenet', 'clip', or "
            f'dict(mean=..., std=...)'
        )
    mean, std = ([255 * n for n in cfg[name]] for name in ('mean', 'std'))
    return _three(key, mean, std, True)


def _configured(cfg: Mapping[str, Any], key: str) -> Normalisation:
    """Read the config of a data preprocessor."""
    mean = cfg.get('mean') or (0.0, 0.0, 0.0)
    std = cfg.get('std') or (1.0, 1.0, 1.0)
    return _three(f'{key}.of', mean, std, bool(cfg.get('bgr_to_rgb')))


def _three(key: str, mean: Any, std: Any, rgb: bool) -> Normalisation:
    for name, numbers in (('mean', mean), ('std', std)):
        known = isinstance(numbers, Sequence) and len(numbers) == 3
        if not (known and all(isinstance(n, int | float) for n in numbers)):
            raise UserValueError(
                f'{key}.{name}={brief(numbers)}; expected three numbers, one '
                f'for each channel, for pixels from 0 to 255'
            )
    return Normalisation(tuple(mean), tuple(std), rgb)
