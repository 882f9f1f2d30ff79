"""What a twin needs: its members, and what DDP and its user must know."""

from collections.abc import Iterator, Sequence
from copy import deepcopy

from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from torch import nn

from ..models.backbones import CompositeBackbone
from ..models.building import build_without_weights
from ..models.members import MemberAdapter, adapt, is_frozen
from ..pretrained import names_a_file
from .places import config_at


def member_adapter(plain: Config, cfg: ConfigDict) -> MemberAdapter | None:
    """Adapt the backbone ``cfg`` of a plain config, or return None."""
    try:
        backbone = build_without_weights(plain, cfg)
        try:
            return adapt(backbone, cfg)
        except NotImplementedError:  # its stages show in numbers only
            with DefaultScope.overwrite_default_scope('mmdet'):
                return adapt(MODELS.build(deepcopy(cfg)))
    except (TypeError, ValueError):
        return None  # building the twin reports the reason


def leaves_unused(
    composite: CompositeBackbone, weights: Sequence[float]
) -> bool:
    """Return whether some parameters of an assistant get no gradient.

    An assistant without losses (weight 0) learns only from the stages that
    the next member reads.
    """
    for k, weight in enumerate(weights):
        if weight:
            continue
        adapter, connection = composite.adapters[k], composite.connections[k]
        if is_frozen(adapter):
            continue
        shared = range(composite.shared_stages or 0)
        read = connection.read_stages.union(shared)
        unread = set(composite.out_indices) - connection.normed_sources
        if max(read, default=-1) < len(adapter.specs) - 1 or any(
            _owns_emission(adapter, i) for i in unread
        ):
            return True
    return False


def _owns_emission(adapter: MemberAdapter, i: int) -> bool:
    """Return whether some parameters serve only ``emit(i, y)``."""
    without = deepcopy(adapter)
    without.drop_emission(i)
    names, kept = (
        dict(one.backbone.named_parameters()).keys()
        for one in (adapter, without)
    )
    return names > kept


def remarks(twin: Config, model: nn.Module, place: str) -> Iterator[str]:
    """Yield remarks on inherited settings that suit only the plain model.

    Args:
        twin: the config.
        model: its model.
        place: where the detector is in the config.
    """
    if twin.get('load_from'):
        yield (
            f"load_from={twin.load_from!r} is inherited: a plain detector's "
            f'backbone reaches no member; set load_from=None and give the '
            f"member init_cfg=dict(type='Pretrained', prefix='backbone.', "
            f'checkpoint=...)'
        )
    if twin.get('work_dir'):
        yield (
            f'work_dir={twin.work_dir!r} is inherited: use --work-dir, or the '
            f"checkpoints mix with the plain detector's"
        )
    own = config_at(twin, place).get('init_cfg')
    if names_a_file(own):
        yield (
            f'{place}.init_cfg={own["checkpoint"]!r} is inherited: of a '
            f"plain detector's weights, only those of neck and heads are "
            f'loaded; set {place}.init_cfg=None to leave them, too'
        )
    wrapper = twin.get('optim_wrapper') or {}
    keys = (wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}
    names = [name for name, _ in model.named_parameters()]
    for key in keys:
        if 'backbone.' in key and not any(key in n for n in names):
            yield (
                f'optim_wrapper.paramwise_cfg.custom_keys names {key!r}, '
                f'which matches no parameter of a composite: its members are '
                f'backbone.members.0, ...'
            )
