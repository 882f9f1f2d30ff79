"""Set learning rates and weight decay by a parameter's place in a member."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le
from mmdet.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from ..arguments import explained, validated
from ..errors import UserValueError
from ..text_tables import text_table
from .parameter_places import Layers, Place, find_places

_COLUMNS = (
    'group', 'lr', 'weight decay', 'parts', 'depth', 'tensors', 'numbers',
)  # fmt: skip
#: the names of position parameters, in any module
POSITIONS = ('absolute_pos_embed', 'relative_position_bias_table', 'pos_embed')


_Factor = Annotated[float, Ge(0)]


@dataclass(frozen=True)
class ParamwiseSettings:
    """The settings of this constructor, then mmengine's (docs/optimizers.md).

    Attributes:
        layer_decay: from each layer to the one below it.
        layers: what counts as a layer.
        others_lr_mult: of what is neither a member nor a connection.
        position_decay_mult: of position embeddings and position biases.
    """

    layer_decay: Annotated[float, Gt(0), Le(1)] = 1.0
    layers: Layers = 'block'
    assistants_lr_mult: _Factor = 1.0
    lead_lr_mult: _Factor = 1.0
    connections_lr_mult: _Factor = 1.0
    others_lr_mult: _Factor = 1.0
    position_decay_mult: _Factor = 0.0
    custom_keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    bias_lr_mult: float | None = None
    bias_decay_mult: float | None = None
    norm_decay_mult: float | None = None
    flat_decay_mult: float | None = None
    dwconv_decay_mult: float | None = None
    dcn_offset_lr_mult: float | None = None
    bypass_duplicate: bool = False


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
@validated
class MemberLayerDecayConstructor(DefaultOptimWrapperConstructor):
    """Lower the learning rate layer by layer, in every member alike.

    The layers of a member are its stem, then its blocks (or stages).
    ``depth`` counts them from the top: the last block has depth 1.  The
    learning rate is ``lr * layer_decay ** depth``; output norms,
    connections, neck and heads have depth 0.

    Norms (by the type of their module) and positions have no weight decay,
    unless the config says otherwise.  A single backbone is a lead.

    Args:
        optim_wrapper_cfg: the config of mmengine's default constructor.
        paramwise_cfg: the settings of mmengine's default constructor, which
            work as they do there, and those of this one, whose factors
            multiply the learning rates that the former give
            (:class:`ParamwiseSettings`).

    Raises:
        ValueError: if a setting is unknown or out of range, the optimizer
            has no ``lr``, or the model has no members.
    """

    def __init__(
        self,
        optim_wrapper_cfg: dict[str, Any],
        paramwise_cfg: Annotated[
            dict[str, Any] | None, ParamwiseSettings
        ] = None,
    ) -> None:
        defaults = asdict(ParamwiseSettings())
        settings = {k: v for k, v in defaults.items() if v is not None}
        settings.update(paramwise_cfg or {})
        optimizer = optim_wrapper_cfg.get('optimizer')
        if not isinstance(optimizer, dict) or optimizer.get('lr') is None:
            raise UserValueError(
                'optim_wrapper.optimizer has no lr; set it, because the '
                'learning rates of all layers are fractions of it'
            )
        if optimizer.get('weight_decay') is not None:
            settings.setdefault('norm_decay_mult', 0.0)
        with explained('optim_wrapper is wrong'):
            super().__init__(optim_wrapper_cfg, settings)

    def add_params(
        self,
        params: list[dict[str, Any]],
        module: nn.Module,
        prefix: str = '',
        is_dcn_module: bool | None = None,
    ) -> None:
        """Add the groups of the model's parameters to ``params``."""
        if prefix:  # mmengine calls this for each module of the model
            super().add_params(params, module, prefix, is_dcn_module)
            return
        single: list[dict[str, Any]] = []
        super().add_params(single, module)
        names = {id(p): name for name, p in module.named_parameters()}
        places = find_places(module, self.paramwise_cfg)
        groups: dict[str, dict[str, Any]] = {}
        for options in single:
            (parameter,) = options.pop('params')
            name = names.pop(id(parameter), None)
            if name is None:
                continue  # a parameter with two names is already in a group
            place = places.get(name) or Place(
                name.partition('.')[0],
                lr_mult=self.paramwise_cfg['others_lr_mult'],
            )
            options = self._options(name, place, options)
            key = repr(sorted(options.items()))
            group = groups.setdefault(key, dict(options, params=[], places=[]))
            group['params'].append(parameter)
            group['places'].append(place)
        rows = [_row(group, group.pop('places')) for group in groups.values()]
        table = text_table(_COLUMNS, rows, left=(0, 3))
        print_log(
            f'learning rates and weight decay:\n{table}', logger='current'
        )
        params.extend(groups.values())

    def _options(
        self, name: str, place: Place, options: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the settings of the group that a parameter belongs to."""
        own = self.paramwise_cfg
        lr = options.get('lr', self.base_lr) * place.lr_mult
        group = {**options, 'lr': lr}
        label = f'lr x{lr / self.base_lr if self.base_lr else 0:.4g}'
        if self.base_wd is not None:
            decay = options.get('weight_decay', self.base_wd)
            custom = any(key in name for key in own.get('custom_keys', ()))
            if name.rpartition('.')[2] in POSITIONS and not custom:
                decay = self.base_wd * own['position_decay_mult']
            group['weight_decay'] = decay
            label += '' if decay else ', no decay'
        return dict(group, group_name=label)


def _row(group: Mapping[str, Any], places: list[Place]) -> list[str | int]:
    decay = group.get('weight_decay')
    return [
        group['group_name'],
        f'{group["lr"]:.4g}',
        '' if decay is None else f'{decay:.4g}',
        ', '.join(dict.fromkeys(place.part for place in places)),
        ', '.join(map(str, sorted({place.depth for place in places} - {0}))),
        len(places),
        f'{sum(p.numel() for p in group["params"]):,}',
    ]
