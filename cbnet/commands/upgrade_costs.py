"""What an assistant costs, which ``cbnet upgrade`` prints."""

from argparse import Namespace
from collections.abc import Mapping, Sequence

from mmengine.config import Config
from mmengine.device import get_device
from torch import Tensor

from ..analysis.complexity import measure
from ..analysis.complexity.against import against_table, trained_parts
from ..analysis.complexity.step import Step, measure_step
from ..engine.verification import build_detector
from ..messages import one_line
from ..testing import make_batch

Weights = Mapping[str, Tensor]


def print_costs(args: Namespace, *pair: tuple[Config, Weights]) -> None:
    """Print what is trained, and what it costs against before.

    Args:
        args: the options of the command.
        pair: the config and the weights of both detectors.
    """
    height, width = args.shape
    before, after = (measure(cfg, (height, width)) for cfg, _ in pair)
    steps = None
    if args.steps:
        try:
            steps = time_steps(args, pair)
        except Exception as error:  # detectors may need other data
            print(f'note: no step could be timed: {one_line(error, 200)}')
    print(f'{height} x {width} (height x width), one image')
    print(against_table(before, after, steps))
    print('\n'.join(trained_parts(after)))


def time_steps(
    args: Namespace, pair: Sequence[tuple[Config, Weights]]
) -> list[Step]:
    """Time training steps of both detectors on a random image."""
    detectors = [build_detector(*one).to(get_device()) for one in pair]
    batch = make_batch((3,), tuple(args.shape), num_classes=1)
    masks = batch['data_samples'][0].gt_instances.pop('masks')
    try:
        measure_step(detectors[0], batch, 0)
    except Exception:  # as any that lacks its masks
        batch['data_samples'][0].gt_instances.masks = masks
    return [measure_step(one, batch, args.steps) for one in detectors]
