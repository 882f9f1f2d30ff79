"""Check the base of a twin, and find what DDP and its user must know."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from ..errors import UserValueError
from ..models.backbones import CompositeBackbone
from ..models.building import build_without_weights
from ..models.members import MemberAdapter, adapt, is_frozen


def check_plain(plain: Config, name: str) -> None:
    """Refuse a config, called ``name``, without a plain detector."""
    model = plain.get('model')
    if not isinstance(model, dict) or 'type' not in model:
        raise UserValueError(
            f'{name} has no model; give the config of a detector'
        )
    places = dict(_backbones(model, 'model'))
    for place, backbone in places.items():
        kind = str(backbone.get('type')).rpartition('.')[2]
        if kind == CompositeBackbone.__name__:
            raise UserValueError(
                f'{name} is composite already: {place} is a {kind}; inherit '
                f'from it and change num_members, style or shared_stages there'
            )
    if 'model.backbone' not in places:
        found = f' (found {", ".join(places)})' if places else ''
        raise UserValueError(
            f'{name}: {model.type} has no model.backbone{found}; only the '
            f'backbone of the detector itself can be made composite'
        )


def _backbones(value: Any, place: str) -> Iterator[tuple[str, dict]]:
    """Yield the place and the config of each backbone in a model config."""
    items = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list | tuple):
        items = enumerate(value)
    for key, part in items:
        if key == 'backbone' and isinstance(part, dict):
            yield f'{place}.{key}', part
        yield from _backbones(part, f'{place}.{key}')


def member_adapter(plain: Config) -> MemberAdapter | None:
    """Adapt the backbone of a plain config, or return None if none can."""
    try:
        backbone = build_without_weights(plain, plain.model.backbone)
        try:
            return adapt(backbone, plain.model.backbone)
        except NotImplementedError:  # its stages show in numbers only
            with DefaultScope.overwrite_default_scope('mmdet'):
                return adapt(MODELS.build(deepcopy(plain.model.backbone)))
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


def remarks(twin: Config, model: nn.Module) -> Iterator[str]:
    """Yield remarks on inherited settings that suit only the plain model."""
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
    wrapper = twin.get('optim_wrapper') or {}
    keys = (wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}
    names = [name for name, _ in model.named_parameters()]
    for key in keys:
        if key.startswith('backbone.') and not any(key in n for n in names):
            yield (
                f'optim_wrapper.paramwise_cfg.custom_keys names {key!r}, '
                f'which matches no parameter of a composite: its members are '
                f'backbone.members.0, ...'
            )
