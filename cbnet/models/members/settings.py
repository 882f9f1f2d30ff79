"""A member with settings of its own: frozen, scaled, of another type."""

from typing import Annotated, Any, Literal

from annotated_types import Gt, Le
from mmdet.registry import MODELS
from mmengine.config import Config
from torch import nn

from ...arguments import BuiltFrom, validated
from ...errors import UserValueError
from ...type_names import type_name
from .map_cache import Cache
from .normalisation import Preprocess


@MODELS.register_module()
@validated
class Member:
    """The settings of one member, beside its backbone.

    ``CompositeBackbone`` takes it where it takes the config of a backbone::

        dict(type='Member', backbone=dict(...), frozen=True, scale=0.5)

    Args:
        backbone: the config of the backbone, or a built one.
        frozen: whether its weights stay as they are.  It has no gradients,
            is in eval mode in training, too, and keeps no activations unless
            a connection that feeds it is trained.
        scale: the factor by which the images are resized for this member:
            0.5 is a quarter of the work.  Both sides become multiples of its
            coarsest stride, so that its maps cover the whole image and
            nothing else.  None: the images as they are.
        dtype: the type in which this member computes (autocast), also if
            nothing else has another type.  Its maps have the images' type.
        preprocess: the mean and std of this member, if they differ from
            those of the detector.
        checkpoint: whether to recompute its activations in the backward
            pass instead of keeping them; a frozen one keeps none.
        save_frozen: whether a frozen member's weights are in checkpoints.
            If not, there is a hash of them, which loading verifies, and the
            weights come from the backbone's ``init_cfg``.
        cache: where to keep the maps of a frozen first member on disk, for
            images that come again unchanged (``map_cache.CacheSettings``).

    Raises:
        ValueError: ``save_frozen=False`` or ``cache`` for a member that is
            trained.
    """

    def __init__(
        self,
        backbone: Annotated[dict[str, Any], BuiltFrom(MODELS)] | nn.Module,
        frozen: bool = False,
        scale: Annotated[float, Gt(0), Le(8)] | None = None,
        dtype: Literal['float32', 'bfloat16', 'float16'] | None = None,
        preprocess: Preprocess = None,
        checkpoint: bool = False,
        save_frozen: bool = True,
        cache: Cache = None,
    ) -> None:
        if not (frozen or save_frozen):
            raise UserValueError(
                'Member: save_frozen=False leaves weights out of checkpoints '
                'that are in another file, and this member is trained; set '
                'frozen=True, too'
            )
        if cache is not None and not frozen:
            raise UserValueError(
                'Member: cache keeps the maps of a member whose weights stay '
                'as they are, and this member is trained; set frozen=True, too'
            )
        self.backbone, self.cache = backbone, cache
        self.frozen, self.save_frozen = frozen, save_frozen
        self.scale, self.dtype = scale, dtype
        self.preprocess, self.checkpoint = preprocess, checkpoint


def has_settings(member: Any) -> bool:
    """Tell whether a member is given as a ``Member`` or its config."""
    if not isinstance(member, dict | Config):
        return isinstance(member, Member)
    return type_name(member) == Member.__name__
