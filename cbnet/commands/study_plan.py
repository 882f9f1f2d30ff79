"""Plan a study of upgrades: check everything before anything is trained."""

import tempfile
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from mmengine.device import get_device
from torch import nn

from ..arguments import explained
from ..datasets.data_check import check_data
from ..engine.verification import build_detector
from ..errors import UserValueError
from ..studies.costs import Cost, measure_costs
from ..studies.report import read_costs, write_costs
from ..studies.results import ALONE
from ..twins.assistants import find_assistant, with_weights
from ..twins.fitting import UpgradeOptions
from ..twins.trained import read_detector
from ..twins.upgraded_config import write_config
from ..twins.upgraded_weights import start_weights
from .study_configs import build_loader, keep_configs, resolved

BIGGER = 'bigger'
#: arm -> how the assistant is added
UPGRADES = {
    'frozen': UpgradeOptions(),
    'half': UpgradeOptions(scale=0.5),
    'trained': UpgradeOptions(train=True),
}


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        detector: the config of the detector before the upgrade.
        further: its config for the further training.
        bigger: the config of the bigger detector by the name of its arm.
        upgrades: the options of ``cbnet upgrade`` by the name of the arm.
        costs: the cost of a step of each arm, going on alone first.
        batches: the number of batches of an evaluation.
    """

    detector: str
    further: str
    bigger: Mapping[str, str]
    upgrades: Mapping[str, list[str]]
    costs: Mapping[str, Cost]
    batches: int


def make_plan(args: Namespace) -> Plan:
    """Write the configs of a study into its folder, and measure the costs.

    Raises:
        ValueError: an option, a config, the data or the assistant is wrong,
            or the folder has the runs of another study.
    """
    check_options(args)
    cfg = resolved(args, args.config, args.steps)
    check_data(cfg, 'train', 'test')
    configs = {
        'detector.py': cfg,
        'further.py': resolved(
            args, args.further_config or args.config, args.further_steps
        ),
    }
    bigger = {}
    if args.bigger:
        arm = f'{BIGGER}-{Path(args.bigger).stem}'
        bigger[arm] = f'{arm}.py'
        steps = args.steps + args.further_steps
        configs[bigger[arm]] = resolved(args, args.bigger, steps)
    texts = {name: one.pretty_text for name, one in configs.items()}
    assistant = Path(args.assistant).name.removesuffix('.py')
    kinds = {
        f'{name}-{assistant}': options
        for name, options in UPGRADES.items()
        if name in args.arms
    }
    with tempfile.TemporaryDirectory() as folder:
        further = keep_configs(texts, Path(folder))['further.py']
        detectors = {
            arm: upgraded(args, further, options)
            for arm, options in kinds.items()
        }
    for arm, name in {ALONE: 'further.py', **bigger}.items():
        with explained(f'{name} does not build'):
            detectors[arm] = build_detector(configs[name], {})
    paths = keep_configs(texts, args.out_dir)
    return Plan(
        paths['detector.py'],
        paths['further.py'],
        {arm: paths[name] for arm, name in bigger.items()},
        {arm: upgrade_options(args, kind) for arm, kind in kinds.items()},
        find_costs([ALONE, *kinds, *bigger], detectors, cfg, args.out_dir),
        len(build_loader(cfg.test_dataloader)),
    )


def check_options(args: Namespace) -> None:
    """Refuse options that do not go together.

    Raises:
        ValueError: says which.
    """
    if (BIGGER in args.arms) != (args.bigger is not None):
        raise UserValueError(
            f'--arms {BIGGER} and --bigger CONFIG need each other; give both'
        )
    if args.val_ann == 'none':
        raise UserValueError(
            '--val-ann none: a study needs a split to evaluate on'
        )
    if args.bigger and args.checkpoints:
        raise UserValueError(
            '--bigger is trained for --steps and --further-steps, but with '
            '--checkpoints it is not known for how long the detector was '
            'trained; leave one of them out'
        )
    if len(args.checkpoints) not in (0, 1, len(args.seeds)):
        raise UserValueError(
            f'--checkpoints: {len(args.checkpoints)} files for '
            f'{len(args.seeds)} seeds; give one for all, or one for each'
        )
    for file in args.checkpoints:
        if not file.is_file():
            raise UserValueError(f'--checkpoints: no file {file}')


def upgrade_options(args: Namespace, kind: UpgradeOptions) -> list[str]:
    """Give the options of ``cbnet upgrade`` for an arm."""
    options = ['--assistant', args.assistant]
    if args.assistant_weights:
        options += ['--assistant-weights', args.assistant_weights]
    if kind.scale is not None:
        options += ['--scale', str(kind.scale)]
    return options + ['--train-assistant'] * kind.train


def upgraded(
    args: Namespace, config: str, options: UpgradeOptions
) -> nn.Module:
    """Build an upgraded detector, with the weights of its assistant.

    Raises:
        ValueError: the detector cannot be upgraded so.
    """
    assistant = with_weights(
        find_assistant(args.assistant), args.assistant_weights
    )
    detector = read_detector(config)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, 'upgraded.py')
        weights = out.with_name('start.pth')
        _, model = write_config(detector, assistant, out, weights, options)
    start_weights(detector, {}, model, assistant)
    return model


def find_costs(
    arms: list[str],
    detectors: Mapping[str, nn.Module],
    cfg: Config,
    folder: Path,
) -> dict[str, Cost]:
    """Measure what a step costs, unless an earlier call has done so.

    Args:
        arms: the arms, the one that goes on alone first.
        detectors: their detectors.
        cfg: the config of that one, which gives a batch.
        folder: the folder of the study, which keeps the costs.
    """
    known = read_costs(folder)
    if not known.keys() >= set(arms):
        print('measuring the time of a step', flush=True)
        placed = {arm: detectors[arm].to(get_device()) for arm in arms}
        batch = next(iter(build_loader(cfg.train_dataloader)))
        # The ratios by which finished runs were planned stay as they are.
        known = measure_costs(placed, batch) | known
        known = {ALONE: known.pop(ALONE), **known}
        write_costs(known, folder)
    return {arm: known[arm] for arm in arms}
