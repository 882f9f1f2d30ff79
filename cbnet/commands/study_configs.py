"""The configs of a study: for the user's data, counted in steps, kept."""

from argparse import Namespace
from collections.abc import Collection, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from ..arguments import explained
from ..atomic_files import write_whole
from ..config_files import read_config
from ..errors import UserValueError
from ..messages import difference
from ..studies.schedule import count_in_steps
from .command_line import load_config, require_section
from .train import use_own_data

_SECTIONS = 'optim_wrapper', 'train_dataloader', 'test_dataloader'


def resolved(args: Namespace, config: str, steps: int) -> Config:
    """Read a config, for the user's data and for a number of steps.

    Args:
        args: the options of ``add_data_options``, ``cfg_options`` and
            ``out_dir``.
        config: the config.
        steps: the number of steps.

    Raises:
        ValueError: the config or the data are wrong.
    """
    changes = dict(config=config, work_dir=str(args.out_dir))
    switches = dict(no_val=None, auto_scale_lr=False)  # it has neither
    own = Namespace(**vars(args) | changes | switches)
    cfg = load_config(own)
    for name in _SECTIONS:
        require_section(cfg, name, f'{config}: a study')
    use_own_data(own, cfg)
    with explained(f'{config} cannot be trained for a number of steps'):
        count_in_steps(cfg, steps)
    cfg.pop('work_dir')
    return cfg


def keep_configs(
    texts: Mapping[str, str], folder: Path, option: str = '--out-dir'
) -> dict[str, str]:
    """Write the texts of configs into a folder; give their paths by name.

    Args:
        texts: the text of each config by its name.
        folder: the folder.
        option: the option that names the folder, for errors.

    Raises:
        ValueError: see ``check_configs``.
    """
    check_configs(texts, folder, option)
    return write_configs(texts, folder)


def check_configs(
    texts: Mapping[str, str],
    folder: Path,
    option: str = '--out-dir',
    free: Collection[str] = (),
) -> None:
    """Refuse configs that differ from those in a folder.

    Args:
        texts: the text of each config by its name.
        folder: the folder.
        option: the option that names the folder, for errors.
        free: the keys of configs that may differ.

    Raises:
        ValueError: another config of this name is there, so the folder
            holds the runs of another study; says what differs.
    """
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text() == text:
            continue
        known = read_config(path, str(path), import_custom_modules=False)
        now = Config.fromstring(text, '.py')
        found = difference(known.to_dict(), now.to_dict(), free)
        if found:
            raise UserValueError(
                f'{path} is there, but the options now give another config: '
                f'its {found}; name another {option}, or repeat the options '
                f'of before, with the versions of cbnet and mmdet of before'
            )


def write_configs(texts: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Write the texts of configs into a folder; give their paths by name."""
    for name, text in texts.items():
        write_whole(folder / name, text.encode())
    return {name: str(folder / name) for name in texts}


def build_loader(section: Mapping[str, Any]) -> DataLoader:
    """Build a dataloader that needs no other processes.

    Raises:
        ValueError: its config is wrong.
    """
    with (
        DefaultScope.overwrite_default_scope('mmdet'),
        explained('the dataloader cannot be built'),
    ):
        section = deepcopy(dict(section))
        section.pop('prefetch_factor', None)
        section.update(num_workers=0, persistent_workers=False)
        return Runner.build_dataloader(section)
