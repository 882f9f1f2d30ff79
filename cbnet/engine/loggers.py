"""Send what is logged to TensorBoard or Weights & Biases as well."""

import importlib.util
from pathlib import Path

from mmengine.config import Config, ConfigDict

from ..errors import UserValueError

#: option -> the module it needs, and mmengine's backend
LOGGERS = {
    'tensorboard': ('tensorboard', 'TensorboardVisBackend'),
    'wandb': ('wandb', 'WandbVisBackend'),
}


def add_logger(cfg: Config, name: str) -> str:
    """Add a backend to the config's visualizer.

    Args:
        cfg: the config, changed in place; its ``work_dir`` names the run.
        name: a key of ``LOGGERS``.

    Returns:
        A line that says how to look at it.

    Raises:
        ValueError: its package is not installed.
    """
    module, backend = LOGGERS[name]
    if importlib.util.find_spec(module) is None:
        raise UserValueError(
            f'--log-to {name} needs the package {module}, which is not '
            f'installed; run: pip install {module}'
        )
    visualizer = cfg.setdefault(
        'visualizer', ConfigDict(type='DetLocalVisualizer')
    )
    backends = list(visualizer.get('vis_backends') or [])
    # Without it mmengine writes no scalars.json, which plot_log.py reads.
    wanted = [ConfigDict(type='LocalVisBackend'), ConfigDict(type=backend)]
    if name == 'wandb':
        folder = Path(cfg.work_dir)
        wanted[1].init_kwargs = dict(
            project=folder.parent.name or 'cbnet', name=folder.name
        )
    present = {entry.get('type') for entry in backends}
    visualizer.vis_backends = backends + [
        entry for entry in wanted if entry.type not in present
    ]
    look = (
        f'tensorboard --logdir {cfg.work_dir}'
        if name == 'tensorboard'
        else 'its address is logged when the run starts'
    )
    return f'logging to {name} too: {look}'
