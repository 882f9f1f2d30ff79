"""Log to TensorBoard or Weights & Biases too."""

import importlib.util
from pathlib import Path

from mmengine.config import Config, ConfigDict

from ..errors import UserValueError
from ..type_names import type_name

#: option -> the package it needs, and mmengine's backend
LOGGERS = {
    'tensorboard': ('tensorboard', 'TensorboardVisBackend'),
    'wandb': ('wandb', 'WandbVisBackend'),
}


def add_logger(cfg: Config, name: str) -> str:
    """Add a backend to the visualizer of a config.

    Args:
        cfg: the config, changed in place; its ``work_dir`` names the run.
        name: the name of the logger, a key of ``LOGGERS``.

    Returns:
        A line that tells the user where to look.

    Raises:
        ValueError: if the logger's package is not installed.
    """
    package, kind = LOGGERS[name]
    if importlib.util.find_spec(package) is None:
        raise UserValueError(
            f'--log-to {name} needs the package {package}, which is not '
            f'installed; run: pip install {package}'
        )
    backend = ConfigDict(type=kind)
    where = f'tensorboard --logdir {cfg.work_dir}'
    if name == 'wandb':
        folder = Path(cfg.work_dir)
        project = folder.parent.name or 'cbnet'
        backend.init_kwargs = dict(project=project, name=folder.name)
        where = 'the address is logged when the run starts'
    plain = ConfigDict(type='DetLocalVisualizer')
    visualizer = cfg.setdefault('visualizer', plain)
    backends = list(visualizer.get('vis_backends') or [])
    # LocalVisBackend writes scalars.json, which `cbnet plot-log` reads.
    for entry in (ConfigDict(type='LocalVisBackend'), backend):
        if entry.type not in map(type_name, backends):
            backends.append(entry)
    visualizer.vis_backends = backends
    return f'logging to {name} too: {where}'
