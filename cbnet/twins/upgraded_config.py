"""Write the config of a trained detector with a new assistant.

The connections of the assistant add zero, so the detector still computes
what it computed before, and training goes on from there.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import nn

from ..arguments import explained
from ..atomic_files import write_whole
from ..config_files import check_new, read_config
from ..engine.verification import build_detector
from ..type_names import type_name
from .assistants import Assistant
from .config_text import Code, as_lines, imports_line, name_from
from .fitting import UpgradeOptions, member_settings
from .needs import leaves_unused
from .trained import Detector, is_composite

_DDP = 'find_unused_parameters = True  # some stages are not read\n'


def write_config(
    detector: Detector,
    assistant: Assistant,
    out: Path,
    weights: Path,
    options: UpgradeOptions,
) -> tuple[Config, nn.Module]:
    """Write the config of an upgraded detector, of at most 20 lines.

    Args:
        detector: the detector.
        assistant: what is added to it.
        out: the file to write.
        weights: the checkpoint that the config starts from, in the folder
            of ``out``.
        options: how it is added.

    Returns:
        The config as it was read back, and its model, on the CPU.

    Raises:
        ValueError: ``out`` exists, or the model does not build.
    """
    check_new(out)
    text = _text(detector, assistant, out, weights, options)
    write_whole(out, text.encode())
    upgraded = read_config(out, str(out))
    what = f'{detector.name} with --assistant {assistant.name}'
    with explained(f'{what} does not build'):
        model = build_detector(upgraded, {})
    if options.train and leaves_unused(model.backbone, [0.0]):
        write_whole(out, (text + _DDP).encode())
        upgraded = read_config(out, str(out))
    return upgraded, model


def _text(
    detector: Detector,
    assistant: Assistant,
    out: Path,
    weights: Path,
    options: UpgradeOptions,
) -> str:
    cfg = detector.cfg
    preprocessor = cfg.model.get('data_preprocessor') or {}
    settings = member_settings(assistant, detector.lead, preprocessor, options)
    if options.leave_out:  # loading has to find the weights
        settings['backbone']['init_cfg'] = _seen_from(out, assistant.init_cfg)
    # To the last bit, the lead computes what it computed before.
    exact = {} if detector.fast else dict(fast='assistants')
    imports = (cfg.get('custom_imports') or {}).get('imports')
    assisted = type_name(cfg.model) == 'AssistedDetector'
    assistance = '    assistance=dict(weights=[0.0]),\n' * assisted
    # Zero in effect, in every family: training starts where it ended.
    zero = dict(init='zero')
    composite = dict(
        _delete_=True,
        type='CompositeBackbone',
        **exact,
        member=Code(f'[assistant, {detector.member}]'),
        style=options.style,
        shared_stages=None,
        connection=zero,
    )
    emitted = cfg.model.backbone.get('out_indices')
    if is_composite(cfg.model.backbone) and emitted is not None:
        composite['out_indices'] = tuple(emitted)
    return f"""\
# A trained detector with a new assistant, written by `cbnet upgrade`.
_base_ = {name_from(out, detector.name)!r}
{imports_line(imports)}\
load_from = '{{{{ fileDirname }}}}/{weights.name}'
assistant = dict(
{as_lines(settings, ' ' * 4)}\
)
model = dict(
{assistance}\
    backbone=dict(
{as_lines(composite, ' ' * 8)}\
    ),
)
"""


def _seen_from(out: Path, init_cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Name the file of an ``init_cfg`` relative to the config that names it.

    Both can then move together.
    """
    file = name_from(out, init_cfg['checkpoint'])
    if not Path(file).is_absolute() and '://' not in file:
        file = f'{{{{ fileDirname }}}}/{file}'
    return {**init_cfg, 'checkpoint': file}
