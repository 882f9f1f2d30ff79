"""The composite twin of a plain config: a short file that inherits from it.

The twin says nothing that its base says already: the member is the base's
backbone, the detector is the base's, whatever they are.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from torch import nn

from ..config_files import find_config, read_config
from ..errors import UserValueError
from ..models.building import build_without_weights
from ..models.members import MemberAdapter
from .needs import check_plain, leaves_unused, member_adapter, remarks

SIZES = {1: 'single', 2: 'dual', 3: 'triple'}  # how a twin's name begins


@dataclass(frozen=True)
class TwinOptions:
    """What a twin adds to its base.

    Args:
        members: how many members.
        style: of the connections.
        shared_stages: as in ``CompositeBackbone``; by default as in the
            published models of the member's family.
        weights: of assistance: one number for all assistants, or one for
            each; None: as published, 0.5 for the first, 1 for further ones.
        proposals: ``'lead'`` or ``'own'``; None: the lead's where the
            detector has RPN and RoI heads.
    """

    members: int = 2
    style: str = 'dhlc'
    shared_stages: int | None | Literal['published'] = 'published'
    weights: float | list[float] | None = None
    proposals: str | None = None


def default_name(config: str, members: int) -> str:
    """Name the twin of a config file."""
    size = SIZES.get(members, f'composite{members}')
    return f'{size}_{Path(config.rpartition("::")[2]).stem}.py'


def compose(
    config: str, out: str | Path, options: TwinOptions
) -> tuple[nn.Module, list[str]]:
    """Write the composite twin of a config, after building its model.

    Args:
        config: a config file of an mmdet detector, or ``package::path``.
        out: the file to write; its folder is made.
        options: what the twin adds.

    Returns:
        The twin's model, on the meta device where it can be built there,
        and remarks on settings of the base that a twin inherits and that
        may not be meant for it.

    Raises:
        ValueError: for a config that has no composite twin, options that do
            not fit, or an ``out`` that exists.
    """
    out = Path(out)
    if out.suffix != '.py':
        raise UserValueError(f'{out} must end in .py')
    if out.exists():
        raise UserValueError(f'{out} exists; name another file or delete it')
    plain = read_config(find_config(config), config)
    check_plain(plain, config)
    adapter = member_adapter(plain)
    if options.shared_stages == 'published':
        published = 1 if adapter is None else adapter.published_shared_stages
        options = replace(options, shared_stages=published)
    stages = _all_stages(adapter)
    imports = (plain.get('custom_imports') or {}).get('imports')
    out.parent.mkdir(parents=True, exist_ok=True)
    base = _base_name(config, out)
    try:  # written first: that is how its _base_ is resolved
        out.write_text(
            _text(base, imports, _assistance(options), options, stages)
        )
        twin = read_config(out, config)
        try:
            model = build_without_weights(twin)
        except ValueError as error:
            raise UserValueError(
                f'{config}: the composite does not build: {error}'
            ) from error
        settled = dict(
            weights=list(model.assistant_weights), proposals=model.proposals
        )
        unused = leaves_unused(model)
        out.write_text(_text(base, imports, settled, options, stages, unused))
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    return model, list(remarks(twin, model))


def _base_name(config: str, out: Path) -> str:
    """Name a config as a file in the folder of ``out`` must name it."""
    if '::' in config:
        return config
    path = os.path.relpath(config, out.parent)
    if not Path(out.parent, path).exists():  # `..` of a link to a folder
        path = os.path.abspath(config)
    return Path(path).as_posix()


def _all_stages(adapter: MemberAdapter | None) -> tuple[int, ...] | None:
    """Stages that members must emit where their own are not enough."""
    if adapter is None:
        return None
    stages = tuple(range(len(adapter.specs)))
    return None if adapter.emittable == stages else stages


def _assistance(options: TwinOptions) -> dict[str, Any]:
    given = dict(weights=options.weights, proposals=options.proposals)
    return {key: v for key, v in given.items() if v is not None}


def _text(
    base: str,
    imports: list[str] | str | None,
    assistance: dict[str, Any],
    options: TwinOptions,
    stages: tuple[int, ...] | None = None,
    unused: bool = False,
) -> str:
    """Write the twin: at most 20 lines."""
    imported = [imports] if isinstance(imports, str) else imports or []
    if not imported:
        imports_line = "imports=['cbnet'], allow_failed_imports=False"
    else:
        star = '' if isinstance(imports, str) else '*'
        names = f"'cbnet', {star}_base_.custom_imports.imports"
        imports_line = f'imports=[{names}]'
    imports_line = f'custom_imports = dict({imports_line})\n'
    member = '_base_.model.backbone'
    emitted = ''
    if stages is not None:  # connections read normed maps of all stages
        emitted = f'        out_indices={member}.out_indices,\n'
        member = f'dict({member}, out_indices={stages})'
    text = f"""\
# A composite twin, written by `cbnet compose`.
_base_ = {base!r}
{imports_line * ('cbnet' not in imported)}model = dict(
    type='AssistedDetector',
    base=_base_.model.type,
    assistance=dict({', '.join(f'{k}={v!r}' for k, v in assistance.items())}),
    backbone=dict(
        _delete_=True,
        type='CompositeBackbone',
        member={member},
        num_members={options.members},
        style={options.style!r},
        shared_stages={options.shared_stages},
{emitted}    ),
)
"""
    # Last stages of an assistant that nothing reads have no gradient.
    return text + 'find_unused_parameters = True\n' * unused
