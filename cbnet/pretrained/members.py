"""Load a pretrained file into a member: everything it owns or nothing."""

from collections.abc import Set
from typing import Any

from mmengine.runner import CheckpointLoader
from torch import nn

from ..checkpoints.local_files import require_checkpoint
from ..checkpoints.report import LoadReport, conversions
from ..checkpoints.weight_files import warn_of_changes
from ..errors import UserValueError
from .architecture import describe, describe_file
from .fit import compare_with_member, describe_differences, new_modules
from .layouts.foundation import foundation_layouts
from .licence import licence_of
from .search import find_backbone, flatten, under
from .swin_resizing import resize_positions
from .vit_resizing import resize_patches


def init_member(
    member: nn.Module, complete: Set[str], title: str
) -> LoadReport | None:
    """Initialise a member as its ``init_cfg`` says.

    Args:
        member: the backbone, without the stages that it shares.  One that
            is no ``BaseModule`` has no ``init_cfg`` and stays as it was built.
        complete: the state-dict names of the same backbone with all its
            stages.
        title: the name of the member in the log.

    Returns:
        A report of the loaded file; None if ``init_cfg`` names no file.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is cut short, of another framework, or does not
            fit the member; nothing is loaded then.
    """
    init_cfg = getattr(member, 'init_cfg', None)
    if not names_a_file(init_cfg):
        if hasattr(member, 'init_weights'):
            member.init_weights()
        return None
    source = str(init_cfg['checkpoint'])
    if source.endswith('.pdparams'):
        raise UserValueError(
            f'{title}: init_cfg.checkpoint={source!r} is a file of Paddle, '
            f'expected one of torch or safetensors; convert it '
            f'(docs/pretrained.md#files-of-other-frameworks)'
        )
    require_checkpoint(source, f'{title}: init_cfg.checkpoint')
    file = CheckpointLoader.load_checkpoint(source, map_location='cpu')
    warn_of_changes(file, source)
    report = load_into(member, file, complete, source, init_cfg.get('prefix'))
    report.log(f'{title} ({type(member).__name__}): ')
    member.is_init = True
    return report


def names_a_file(init_cfg: Any) -> bool:
    """Tell whether an ``init_cfg`` asks for a pretrained file."""
    return isinstance(init_cfg, dict) and init_cfg['type'] == 'Pretrained'


def load_into(
    member: nn.Module,
    file: Any,
    complete: Set[str],
    source: str,
    prefix: str | None = None,
) -> LoadReport:
    """Load a file into a member: everything it owns or nothing.

    Args:
        member: the backbone, without the stages that it shares.
        file: the loaded content of the file.
        complete: the state-dict names of the same backbone with all its
            stages.
        source: the name of the file, for the report and errors.
        prefix: the part of the file to use, for example ``backbone.``.

    Raises:
        ValueError: the file holds another architecture, or several of its
            parts fit and ``prefix`` does not choose one.
    """
    # TimmBackbone holds timm's model one level down.
    level = 'model.' if all(n.startswith('model.') for n in complete) else ''
    names = {name.removeprefix(level) for name in complete}
    own = under(member.state_dict(), level)
    flat = flatten(file, source)
    more = ()
    if complete_model := getattr(member, 'complete_model', None):
        more = foundation_layouts(type(member.model), complete_model)
    found = find_backbone(flat, names, source, prefix, more)
    if found is None:
        architecture = describe_file(flat)
        wrong = 'the file and the member share almost no names'
    else:
        architecture = describe(found.weights, found.weights)
        weights, positions = resize_positions(found.weights, own)
        weights, patches = resize_patches(weights, own)
        comparison, others = compare_with_member(
            weights, own, names, new_modules(member)
        )
        wrong = describe_differences(comparison, weights, own)
    if wrong:
        kind = type(member).__name__
        raise UserValueError(
            f'checkpoint={source!r} does not fit {kind}, nothing was loaded. '
            f'The file: {architecture or "unknown"}. The member: '
            f'{describe(names, own) or kind}. {wrong[0].upper()}{wrong[1:]}. '
            f'Give a file of the same architecture, or configure the member '
            f'like the file (docs/pretrained.md)'
        )
    loaded = comparison.matching
    member.load_state_dict(
        {level + name: weights[name] for name in loaded}, strict=False
    )
    return LoadReport(
        source=source,
        path=found.path,
        layout=found.layout,
        loaded=loaded,
        renamed=tuple(name for name in loaded if name not in found.below),
        resized=(*positions, *patches),
        cast=conversions(loaded, weights, own),
        outside=len(flat) - len(found.below),
        licence=licence_of(source, member),
        **others,
    )
