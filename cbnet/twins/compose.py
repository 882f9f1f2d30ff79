"""Write the composite twin of a plain config, which inherits from it.

The twin repeats no setting of its base. Its members are the base's backbone
and its detector is the base's detector, whatever their types.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import indent
from typing import Literal

from torch import nn

from ..config_files import check_new, find_config, read_config
from ..errors import UserValueError
from ..models.building import build_without_weights
from ..models.detectors import AssistantSupervision
from .config_text import imports_line, name_from
from .needs import leaves_unused, member_adapter, remarks
from .places import config_at, find_detector

SIZES = {1: 'single', 2: 'dual', 3: 'triple'}  # how a twin's name begins


@dataclass(frozen=True)
class TwinOptions:
    """The settings that a twin adds to its base.

    Attributes:
        members: the number of members.
        style: the style of the connections.
        shared_stages: the number of shared stages, or None, as in
            ``CompositeBackbone``; ``'published'`` stands for the number in
            the published models of the member's family.
        weights: the weights of assistance, one number for all assistants or
            one for each; None stands for the published 0.5 for the first
            assistant and 1 for further ones.
        proposals: ``'lead'`` or ``'own'``; None stands for the lead's where
            the detector has RPN and RoI heads.
        at: where the detector is in the config, such as
            ``model.detector``; None: it is looked for.
    """

    members: int = 2
    style: str = 'dhlc'
    shared_stages: int | None | Literal['published'] = 'published'
    weights: float | list[float] | None = None
    proposals: str | None = None
    at: str | None = None


def default_name(config: str, members: int) -> str:
    """Return the file name of a config's twin."""
    size = SIZES.get(members, f'composite{members}')
    return f'{size}_{Path(config.rpartition("::")[2]).stem}.py'


def assisted_part(model: nn.Module) -> nn.Module:
    """Return the assisted detector of a twin, or in what its model holds."""
    parts = model.modules()
    return next(x for x in parts if isinstance(x, AssistantSupervision))


def compose(
    config: str, out: str | Path, options: TwinOptions
) -> tuple[nn.Module, list[str]]:
    """Write the composite twin of a config, and build its model.

    Args:
        config: the config file of an mmdet detector, or ``package::path``.
        out: the file to write; missing folders are made. It is removed again
            if the model does not build.
        options: the settings that the twin adds.

    Returns:
        The twin's model, on the meta device where it can be built there, and
        remarks on settings that the twin inherits but that may not suit it.

    Raises:
        ValueError: the config has no composite twin, the options are wrong,
            or ``out`` exists.
    """
    out = Path(out)
    check_new(out)
    plain = read_config(find_config(config), config)
    place = find_detector(plain, config, options.at)
    options = replace(options, at=place)
    try:
        build_without_weights(plain)
    except ValueError as error:
        raise UserValueError(
            f'{config}: the model of this config does not build, even before '
            f'it is made composite: {error}'
        ) from error
    adapter = member_adapter(plain, config_at(plain, place).backbone)
    if options.shared_stages == 'published':
        published = 1 if adapter is None else adapter.published_shared_stages
        options = replace(options, shared_stages=published)
    stages = None
    if adapter is not None:
        # Connections read the maps of all stages, so members must emit them.
        every = tuple(range(len(adapter.specs)))
        stages = None if adapter.emittable == every else every
    imports = (plain.get('custom_imports') or {}).get('imports')
    out.parent.mkdir(parents=True, exist_ok=True)
    base = name_from(out, config)

    def write(options: TwinOptions, unused: bool = False) -> None:
        text = _text(base, imports, options, stages)
        # DDP must expect parameters without a gradient.
        out.write_text(text + 'find_unused_parameters = True\n' * unused)

    try:
        # Written before it is read, so that its _base_ is resolved.
        write(options)
        twin = read_config(out, config)
        try:
            model = build_without_weights(twin)
        except ValueError as error:
            raise UserValueError(
                f'{config}: the composite does not build: {error}'
            ) from error
        # Written again, with the defaults that the model filled in.
        detector = assisted_part(model)
        weights = list(detector.assistant_weights)
        options = replace(
            options, weights=weights, proposals=detector.proposals
        )
        write(options, leaves_unused(detector.backbone, weights))
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    return model, list(remarks(twin, model, place))


def _text(
    base: str,
    imports: list[str] | str | None,
    options: TwinOptions,
    stages: tuple[int, ...] | None,
) -> str:
    """Compose the twin's text, of at most 20 lines."""
    assistance = dict(weights=options.weights, proposals=options.proposals)
    given = (f'{k}={v!r}' for k, v in assistance.items() if v is not None)
    member = f'_base_.{options.at}.backbone'
    emitted = ''
    if stages is not None:
        emitted = f'    out_indices={member}.out_indices,\n'
        member = f'dict({member}, out_indices={stages})'
    detector = f"""\
type='AssistedDetector',
base=_base_.{options.at}.type,
assistance=dict({', '.join(given)}),
backbone=dict(
    _delete_=True,
    type='CompositeBackbone',
    member={member},
    num_members={options.members},
    style={options.style!r},
    shared_stages={options.shared_stages},
{emitted}),
"""
    outer, *inner = options.at.split('.')
    for name in reversed(inner):
        detector = f'{name}=dict(\n{indent(detector, " " * 4)}),\n'
    return f"""\
# A composite twin, written by `cbnet compose`.
_base_ = {base!r}
{imports_line(imports)}{outer} = dict(
{indent(detector, ' ' * 4)})
"""
