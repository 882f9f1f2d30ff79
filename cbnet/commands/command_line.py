"""The steps that commands share."""

import os
from argparse import Namespace
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import RUNNERS
from mmengine.runner import (
    EpochBasedTrainLoop,
    IterBasedTrainLoop,
    Runner,
    TestLoop,
    ValLoop,
)

from ..arguments import explained
from ..config_files import find_config
from ..datasets.checked_images import ImageFileError
from ..datasets.checked_pipelines import naming
from ..engine.launch import prepare_launch
from ..engine.run_settings import check_model
from ..errors import UserValueError
from .overrides import read_overrides, refuse_variables


def load_config(args: Namespace) -> Config:
    """Read the config, apply the overrides, set work_dir and launcher.

    Raises:
        UserError: the config, an override or the launcher is wrong.
    """
    path = find_config(args.config)
    with explained(args.config):  # a config is code: it raises anything
        cfg = Config.fromfile(path)
    overrides = read_overrides(args.cfg_options or ())
    refuse_variables(cfg, overrides)
    with explained('--cfg-options'):
        cfg.merge_from_dict(overrides)
    check_model(cfg)
    given = vars(args)
    cfg.work_dir = str(
        given.get('work_dir')
        or cfg.get('work_dir')
        or Path('work_dirs', path.stem)
    )
    if given.get('local_rank') is not None:
        os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    prepare_launch(cfg, given.get('launcher', 'none'))
    return cfg


def require_section(cfg: Config, name: str, option: str) -> ConfigDict:
    """Give the section of the config that an option needs."""
    section = cfg.get(name)
    if not section:
        raise UserValueError(
            f'{option} needs {name} in the config, which has none'
        )
    return section


def new_files(folder: Path, *names: str) -> list[Path]:
    """Name files to write into ``--out-dir``, which replace none.

    Raises:
        ValueError: one of them exists.
    """
    for path in (paths := [folder / name for name in names]):
        if path.exists():
            raise UserValueError(
                f'{path} exists; name another --out-dir or delete it'
            )
    return paths


# The parts of a run that mmengine builds when it starts, and their keys.
_BUILT_LATE = {
    'build_train_loop': 'train_cfg or train_dataloader',
    'build_optim_wrapper': 'optim_wrapper',
    'build_param_scheduler': 'param_scheduler',
    'build_val_loop': 'val_cfg, val_dataloader or val_evaluator',
    'build_test_loop': 'test_cfg, test_dataloader or test_evaluator',
}


def build_runner(cfg: Config) -> Runner:
    """Build the runner that the config asks for, mmengine's by default.

    Raises:
        ValueError: a part of the config cannot be built, now or when the
            runner starts.
    """
    with explained('the config cannot be built'):
        if 'runner_type' in cfg:
            runner = RUNNERS.build(cfg)
        else:
            runner = Runner.from_cfg(cfg)
    for method, keys in _BUILT_LATE.items():
        if build := getattr(runner, method, None):
            setattr(runner, method, _blaming(keys, build))
    return runner


def _blaming(keys: str, build: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method blame the keys of the config for its errors."""

    @wraps(build)
    def blaming(*args: Any, **options: Any) -> Any:
        with explained(f'{keys} of the config cannot be built'):
            built = build(*args, **options)
        if isinstance(built, ValLoop | TestLoop):
            built.run_iter = _naming_images('evaluation', built.run_iter)
        elif isinstance(built, EpochBasedTrainLoop | IterBasedTrainLoop):
            built.run_iter = _naming_images('training', built.run_iter)
        return built

    return blaming


def _naming_images(run: str, run_iter: Callable[..., Any]) -> Callable:
    """Let a step of a run name its first image in its errors."""

    @wraps(run_iter)
    def naming_images(*args: Any) -> Any:
        *_, data_batch = args
        try:
            with naming(_first_image(data_batch), f'stops the {run}'):
                return run_iter(*args)
        except ImageFileError as error:
            # A full disk has an advice of its own.
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise

    return naming_images


def _first_image(data_batch: Any) -> str | None:
    samples = data_batch
    if isinstance(samples, dict):
        samples = samples.get('data_samples')
    while isinstance(samples, list | tuple) and samples:  # views, too
        samples = samples[0]
    return getattr(samples, 'img_path', None)
