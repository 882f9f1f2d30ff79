"""Load a pretrained file into a member, all that it owns or nothing."""

from collections.abc import Set
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.runner import CheckpointLoader

from ..checkpoints.local_files import require_checkpoint
from ..errors import MissingFileError, UserValueError
from .architecture import describe, describe_file
from .fit import compare, new_modules, raise_refusal, refuse
from .report import LoadReport
from .search import find_weights, flatten
from .swin_resizing import resize_positions


def init_member(
    member: BaseModule, complete: Set[str], title: str
) -> LoadReport | None:
    """Initialise a member as its ``init_cfg`` says.

    Args:
        member: the backbone, without the stages it shares.
        complete: state-dict names of the same backbone with all its stages;
            names among them that the member lacks are shared, not foreign.
        title: how the log line calls it.

    Returns:
        What was loaded; None where ``init_cfg`` names no file.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: where it is cut short, or of another architecture; then
            nothing of it is loaded.
    """
    init_cfg = member.init_cfg
    if not names_a_file(init_cfg):
        member.init_weights()
        return None
    source = str(init_cfg['checkpoint'])
    file = _read(source, f'{title}: init_cfg.checkpoint')
    report = load_into(member, file, complete, source, init_cfg.get('prefix'))
    print_log(f'{title} ({type(member).__name__}): {report}', 'current')
    member.is_init = True
    return report


def names_a_file(init_cfg: Any) -> bool:
    """Tell whether an ``init_cfg`` asks for a pretrained file."""
    return isinstance(init_cfg, dict) and init_cfg['type'] == 'Pretrained'


def _read(source: str, key: str) -> Any:
    """Read a file safely; safetensors hold nothing but tensors."""
    if not source.endswith('.safetensors') or '://' in source:
        require_checkpoint(source, key)
        return CheckpointLoader.load_checkpoint(source, map_location='cpu')
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not Path(source).is_file():
        raise MissingFileError(f'{key}={source!r}: there is no such file')
    try:
        return load_file(source)
    except SafetensorError as error:
        raise UserValueError(
            f'{key}={source!r} is cut short, or no safetensors file '
            f'({error}); copy or download it again'
        ) from None


def load_into(
    member: BaseModule,
    file: Any,
    complete: Set[str],
    source: str,
    prefix: str | None = None,
) -> LoadReport:
    """Load a file into a member, all that it owns or nothing.

    Args:
        member: the backbone, without the stages it shares.
        file: what the file holds, as loaded.
        complete: state-dict names of the backbone with all its stages.
        source: the file, for the report and errors.
        prefix: which part of the file is meant, for example ``backbone.``.

    Raises:
        ValueError: where the file is of another architecture; where several
            parts fit and ``prefix`` does not tell which is meant.
    """
    # TimmBackbone holds timm's model one level down.
    level = 'model.' if all(n.startswith('model.') for n in complete) else ''
    names = {name.removeprefix(level) for name in complete}
    own = {
        name.removeprefix(level): value
        for name, value in member.state_dict().items()
    }
    flat = flatten(file, source)
    found = find_weights(flat, names, source, prefix)
    if found is None:
        raise_refusal(
            describe_file(flat),
            member,
            describe(names, own),
            source,
            'next to none of the names of one is in the other',
        )
    weights, resized = resize_positions(found.weights, own)
    fit = compare(weights, own, names, new_modules(member))
    refuse(fit, found.weights, member, own, names, source)
    useful = {n: v for n, v in weights.items() if n not in set(fit.ignored)}
    loaded = {name: value for name, value in useful.items() if name in own}
    member.load_state_dict(
        {level + name: value for name, value in loaded.items()}, strict=False
    )
    return LoadReport(
        source=source,
        path=found.path,
        layout=found.layout,
        loaded=tuple(loaded),
        renamed=tuple(name for name in loaded if name not in found.names),
        resized=tuple(resized),
        shared=tuple(n for n in useful if n in names and n not in own),
        new=fit.new,
        ignored=fit.ignored,
        outside=found.outside,
    )
