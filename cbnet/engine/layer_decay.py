"""Learning rates and weight decay by a weight's place among the members."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

from mmdet.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from terminaltables import AsciiTable
from torch import nn

from ..errors import UserValueError
from ..messages import did_you_mean
from .member_layers import LAYERS
from .parameter_places import Place, find_places

_OWN = dict(
    layer_decay=1.0,
    layers='block',
    assistants_lr_mult=1.0,
    lead_lr_mult=1.0,
    connections_lr_mult=1.0,
    position_decay_mult=0.0,
)
_MMENGINES = (
    'custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult',
    'flat_decay_mult', 'dwconv_decay_mult', 'dcn_offset_lr_mult',
    'bypass_duplicate',
)  # fmt: skip
#: parameters that are positions, whatever module owns them
POSITIONS = ('absolute_pos_embed', 'relative_position_bias_table', 'pos_embed')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MemberLayerDecayConstructor(DefaultOptimWrapperConstructor):
    """Let the learning rate fall layer by layer, in every member alike.

    A member's stem is its lowest layer, then come its blocks (or stages),
    one by one; ``depth`` counts them from the top, whose last block has 1.
    The learning rate is ``lr * layer_decay ** depth``; output norms,
    connections, neck and heads keep ``lr``.

    Norms (by the type of their module) and positions have no weight decay,
    unless the config says otherwise.  All settings of mmengine's default
    constructor work as they do there: theirs is the rate that the factors
    here multiply.

    Args:
        optim_wrapper_cfg: as for mmengine's default constructor.
        paramwise_cfg: its settings, and

            - ``layer_decay``: in (0, 1]; default 1.
            - ``layers``: ``'block'`` (default) or ``'stage'``.
            - ``assistants_lr_mult``, ``lead_lr_mult``,
              ``connections_lr_mult``: further factors; default 1.  A
              backbone alone is a lead.
            - ``position_decay_mult``: weight decay of absolute position
              embeddings and relative position biases; default 0.
            - ``norm_decay_mult``: as in mmengine; default 0 here.

    Raises:
        ValueError: for an unknown setting, a value out of range, an
            optimizer without ``lr``, or a model without members.
    """

    def __init__(
        self,
        optim_wrapper_cfg: dict[str, Any],
        paramwise_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        settings = {**_OWN, **(paramwise_cfg or {})}
        _check(settings)
        optimizer = optim_wrapper_cfg['optimizer']
        if optimizer.get('lr') is None:
            raise UserValueError(
                'optim_wrapper.optimizer has no lr, which the rates of all '
                'layers are fractions of; give it'
            )
        if optimizer.get('weight_decay') is not None:
            settings.setdefault('norm_decay_mult', 0.0)
        super().__init__(optim_wrapper_cfg, settings)

    def add_params(
        self,
        params: list[dict[str, Any]],
        module: nn.Module,
        prefix: str = '',
        is_dcn_module: bool | None = None,
    ) -> None:
        """Add the groups of the model; see the class."""
        if prefix:  # mmengine's recursion into the model
            super().add_params(params, module, prefix, is_dcn_module)
            return
        alone: list[dict[str, Any]] = []
        super().add_params(alone, module)
        names = {id(p): name for name, p in module.named_parameters()}
        places = find_places(module, self.paramwise_cfg)
        groups: dict[str, dict[str, Any]] = {}
        rows: dict[str, list[tuple[Place, int]]] = {}
        for options in alone:
            (parameter,) = options.pop('params')
            name = names.pop(id(parameter), None)
            if name is None:
                continue  # it has a second name, and is in a group already
            place = places.get(name) or Place(name.partition('.')[0])
            options = self._options(name, place, options)
            key = repr(sorted(options.items()))
            group = groups.setdefault(key, dict(params=[], **options))
            group['params'].append(parameter)
            rows.setdefault(key, []).append((place, parameter.numel()))
        params.extend(groups.values())
        table = [_row(groups[key], rows[key]) for key in groups]
        print_log(_table(table), logger='current')

    def _options(
        self, name: str, place: Place, options: dict[str, Any]
    ) -> dict[str, Any]:
        """Give the settings of the group that a parameter belongs to."""
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


def _check(settings: Mapping[str, Any]) -> None:
    known = (*_OWN, *_MMENGINES)
    for key, value in settings.items():
        if key not in known:
            raise UserValueError(
                f'paramwise_cfg has no setting {key!r}'
                f'{did_you_mean(key, known) or ";"} '
                f'MemberLayerDecayConstructor has {", ".join(known)}'
            )
        if key == 'layers':
            fits, expected = value in LAYERS, ' or '.join(map(repr, LAYERS))
        elif key == 'layer_decay':
            fits = isinstance(value, Real) and 0 < value <= 1
            expected = 'a number above 0, at most 1 (1: no decay)'
        elif key in _OWN:
            fits = isinstance(value, Real) and value >= 0
            expected = 'a number from 0'
        else:
            continue
        if not fits:
            raise UserValueError(
                f'paramwise_cfg.{key}={value!r}; expected {expected}'
            )


def _row(
    group: Mapping[str, Any], members: list[tuple[Place, int]]
) -> list[str]:
    depths = sorted({place.depth for place, _ in members if place.depth})
    return [
        group['group_name'],
        f'{group["lr"]:.4g}',
        f'{group["weight_decay"]:.4g}' if 'weight_decay' in group else '',
        ', '.join(dict.fromkeys(place.part for place, _ in members)),
        ', '.join(map(str, depths)),
        str(len(members)),
        f'{sum(count for _, count in members):,}',
    ]


def _table(rows: list[list[str]]) -> str:
    head = ['group', 'lr', 'weight decay', 'of', 'depth', 'tensors', 'numbers']
    table = AsciiTable([head, *rows])
    table.justify_columns = dict.fromkeys((1, 2, 4, 5, 6), 'right')
    return f'learning rates and weight decay:\n{table.table}'
