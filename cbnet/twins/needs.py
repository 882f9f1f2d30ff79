"""What a twin needs of its base, and what it should know of itself."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from mmengine.config import Config
from torch import nn

from ..errors import UserValueError
from ..models.backbones import CompositeBackbone
from ..models.building import build_without_weights
from ..models.members import MemberAdapter, adapt


def check_plain(plain: Config, name: str) -> None:
    """Refuse what is no plain detector with its backbone in its place.

    Args:
        plain: a whole config.
        name: how the user calls it.

    Raises:
        ValueError: says what was found instead.
    """
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
                f'{name} is composite already: {place} is a '
                f'{CompositeBackbone.__name__}; inherit from it and change '
                f'num_members, style or shared_stages there'
            )
    if 'model.backbone' not in places:
        found = f' (found {", ".join(places)})' if places else ''
        raise UserValueError(
            f'{name}: {model.type} has no model.backbone{found}; only the '
            f'backbone of the detector itself can be made composite'
        )


def _backbones(value: Any, place: str) -> Iterator[tuple[str, dict]]:
    """Find backbone configs in a model config."""
    items = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list | tuple):
        items = enumerate(value)
    for key, part in items:
        if key == 'backbone' and isinstance(part, dict):
            yield f'{place}.{key}', part
        yield from _backbones(part, f'{place}.{key}')


def member_adapter(plain: Config) -> MemberAdapter | None:
    """Adapt the backbone of a plain config; None where none serves it."""
    try:
        backbone = build_without_weights(plain, plain.model.backbone)
        return adapt(backbone, plain.model.backbone)
    except (TypeError, ValueError):
        return None  # building the twin says why


def leaves_unused(model: nn.Module) -> bool:
    """Tell whether some assistant's part has no gradient: DDP must know.

    An assistant without assistance learns through what reads it alone.
    """
    composite = model.backbone
    for k, weight in enumerate(model.assistant_weights):
        adapter, connection = composite.adapters[k], composite.connections[k]
        read = [s for ss in connection.sources.values() for s in ss]
        taken = range(composite.shared_stages or 0)
        last = max([*read, *taken], default=-1)
        stages = last < len(adapter.specs) - 1
        unread = set(composite.out_indices) - connection.normed_sources
        if not weight and (
            stages or any(_owns_emission(adapter, i) for i in unread)
        ):
            return True
    return False


def _owns_emission(adapter: MemberAdapter, i: int) -> bool:
    """Tell whether only ``emit(i, y)`` needs some of the parameters."""
    without = deepcopy(adapter)
    without.drop_emission(i)
    sizes = [
        sum(p.numel() for p in a.backbone.parameters())
        for a in (adapter, without)
    ]
    return sizes[0] > sizes[1]


def remarks(twin: Config, model: nn.Module) -> Iterator[str]:
    """Remark on inherited settings that speak of the plain model."""
    if twin.get('load_from'):
        yield (
            f"load_from={twin.load_from!r} is inherited: a plain detector's "
            f'backbone reaches no member; set load_from=None and give the '
            f"member init_cfg=dict(type='Pretrained', prefix='backbone.', "
            f'checkpoint=...)'
        )
    if twin.get('work_dir'):
        yield (
            f'work_dir={twin.work_dir!r} is inherited: train with --work-dir, '
            f'or its checkpoints meet those of the plain detector'
        )
    wrapper = twin.get('optim_wrapper') or {}
    keys = (wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}
    names = [name for name, _ in model.named_parameters()]
    for key in keys:
        if key.startswith('backbone.') and not any(key in n for n in names):
            yield (
                f'optim_wrapper.paramwise_cfg.custom_keys names {key!r}, '
                f'which matches no parameter of a composite: its members '
                f'are backbone.members.0, ...'
            )
