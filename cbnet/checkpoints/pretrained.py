"""Pretrained weights into every member, one log line a member.

A member's ``init_cfg=dict(type='Pretrained', checkpoint=...)`` names a file,
a URL, mmengine's ``torchvision://NAME``, or one of the two schemes added
here: ``timm://NAME`` (timm's own weights) and ``package://MODULE/PATH`` (a
file inside an installed package).
"""

from collections.abc import Set
from importlib import resources

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.runner import CheckpointLoader
from torch import Tensor

from ..compat.safe_loading import load_safely
from .layouts import strip_wrappers, to_backbone_names
from .local_files import require_checkpoint


def init_member(member: BaseModule, complete: Set[str], title: str) -> None:
    """Initialise a member as its ``init_cfg`` says.

    Args:
        member: the backbone, without the stages it shares.
        complete: state-dict names of the same backbone with all its stages;
            names among them that the member lacks are shared, not foreign.
        title: how the log line calls it.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: where it is cut short, nothing in it fits, or shapes
            differ.
    """
    init_cfg = member.init_cfg
    if not (isinstance(init_cfg, dict) and init_cfg['type'] == 'Pretrained'):
        member.init_weights()
        return
    source = str(init_cfg['checkpoint'])
    require_checkpoint(source, f'{title}: init_cfg.checkpoint')
    file = CheckpointLoader.load_checkpoint(source, map_location='cpu')
    weights = strip_wrappers(file, init_cfg.get('prefix'))
    weights = to_backbone_names(weights, complete)
    report = load_into(member, weights, complete, source)
    print_log(f'{title} ({type(member).__name__}): {report}', 'current')
    member.is_init = True


def load_into(
    member: BaseModule,
    weights: dict[str, Tensor],
    complete: Set[str],
    source: str,
) -> str:
    """Load what fits by name; say what was loaded, missing, unexpected.

    Raises:
        ValueError: where nothing fits, or a shape differs.
    """
    own = member.state_dict()
    fitting = {name: w for name, w in weights.items() if name in own}
    known = set(weights) & set(complete)
    wrong = [
        f'{name}: file {tuple(w.shape)}, member {tuple(own[name].shape)}'
        for name, w in fitting.items()
        if w.shape != own[name].shape
    ]
    if not known or wrong:
        raise ValueError(
            f'checkpoint={source!r} does not fit {type(member).__name__}: '
            + (
                f'{len(wrong)} shapes differ ({"; ".join(wrong[:3])})'
                if wrong
                else f'none of its {len(weights)} names is known '
                f'({", ".join(list(weights)[:3])}, ...)'
            )
            + '; give the pretrained file of the same architecture'
        )
    member.load_state_dict(fitting, strict=False)
    missing = sorted(set(own) - set(fitting))
    # Files from before torch 0.4.1 lack these counters; they matter only to
    # norms without momentum.
    missing = [m for m in missing if not m.endswith('num_batches_tracked')]
    foreign = sorted(set(weights) - set(complete))
    shared = len(known) - len(fitting)
    return (
        f'loaded {len(fitting)} entries of {source}; shared {shared}; '
        f'missing {_listed(missing)}; unexpected {_listed(foreign)}'
    )


def _listed(names: list[str], most: int = 4) -> str:
    if not names:
        return '0'
    more = ', ...' if len(names) > most else ''
    return f'{len(names)} ({", ".join(names[:most])}{more})'


@CheckpointLoader.register_scheme(prefixes='timm://')
def load_from_timm(
    filename: str, map_location: str | torch.device | None = None
) -> dict[str, Tensor]:
    """Read timm's own weights of ``timm://NAME`` (downloads them once)."""
    import timm

    name = filename.removeprefix('timm://')
    model = timm.create_model(name, pretrained=True)
    return {
        key: value.to(map_location or 'cpu')
        for key, value in model.state_dict().items()
    }


@CheckpointLoader.register_scheme(prefixes='package://')
def load_from_package(
    filename: str, map_location: str | torch.device | None = None
) -> dict:
    """Read ``package://MODULE/PATH``, a file inside an installed package.

    Raises:
        FileNotFoundError: where the package or the file is missing.
    """
    package, _, path = filename.removeprefix('package://').partition('/')
    try:
        file = resources.files(package) / path
    except ModuleNotFoundError:
        raise FileNotFoundError(
            f'{filename}: no package {package!r} is installed; run: '
            f'pip install {package.replace("_", "-")}'
        ) from None
    if not file.is_file():
        raise FileNotFoundError(
            f'{filename}: the package {package!r} holds no file {path!r}'
        )
    with resources.as_file(file) as local:
        return load_safely(local, map_location, filename)
