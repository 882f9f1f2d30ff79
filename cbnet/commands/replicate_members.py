r"""Put the weights of an ordinary detector or backbone into every member.

The result is a start for training a composite. It leaves out the
connections, which keep their initial values. With a config, the result is
compared strictly: only connections may be missing.

Examples:
  cbnet replicate-members \
      mask_rcnn_swin-t.pth start.pth --config configs/cbnet/dual_swin_t.py
  cbnet replicate-members \
      faster_rcnn_r50.pth start.pth --num-members 3 --shared-stages none
"""

from argparse import Namespace
from collections import Counter
from pathlib import Path

from torch import Tensor

from ..checkpoints.weight_files import (
    find_weights,
    kept_meta,
    read_file,
    write_weights,
)
from ..config_files import find_config, read_config
from ..converters.replicate import (
    family_of,
    replicate,
    replicate_into,
    take_apart,
)
from ..errors import UserValueError
from ..messages import listed
from ..models.building import build_without_weights
from .argument_types import at_least, shared_stages
from .command_line import refuse_output
from .command_parser import CommandParser
from .publish import record

PUBLISHED = {'ResNet': 1, 'Swin': 0}


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = CommandParser(
        __name__, __doc__, 'IN.pth OUT.pth (--config CONFIG | --num-members N)'
    )
    parser.option(
        'source IN.pth',
        'the checkpoint of an mmdet detector, of a cbnet detector with '
        "one member, or of a backbone in mmdet's or Microsoft's names",
        Path,
    )
    parser.option('out OUT.pth', 'the file to write', Path)
    parser.option(
        '--config CONFIG',
        'the config of the composite detector, which tells the number of '
        'members and the stages that they share',
    )
    parser.option(
        '--num-members N',
        'the number of members, without a config (ResNets and Swins)',
        at_least(1),
    )
    parser.option(
        '--shared-stages S',
        'with --num-members: the number of leading stages that later '
        'members take from the first one; 0: only the stem; none: not even '
        'the stem (default: as published, 1 for ResNets, 0 for Swins)',
        shared_stages,
        default='published',
    )
    return parser


def run(args: Namespace) -> None:
    """Replicate one file and print each step."""
    if (args.config is None) == (args.num_members is None):
        raise UserValueError('give either --config or --num-members')
    if args.config and args.shared_stages != 'published':
        raise UserValueError('--shared-stages: --config already tells it')
    refuse_output('OUT.pth', args.out, [args.source], 'IN.pth')
    print(f'reading {args.source}', flush=True)
    file = read_file(args.source)
    plain = take_apart(find_weights(file))
    if args.config:
        cfg = read_config(find_config(args.config), args.config)
        weights, report = replicate_into(
            plain, build_without_weights(cfg), args.config
        )
        left = [*report.new, *report.kept]
        left = f'{len(left)} entries ({listed(left)})'
    else:
        stages = args.shared_stages
        if stages == 'published':
            stages = PUBLISHED.get(family_of(plain))
        weights = replicate(plain, args.num_members, stages)
        report = 'without --config, the weights are not compared with a model'
        left = 'all'
    for k, count in enumerate(count_members(weights)):
        print(f'member {k}: {count} entries')
    print(f'neck and heads: {len(plain.rest)} entries')
    if plain.dropped:
        print(f'dropped, of a classifier: {listed(plain.dropped)}')
    print(f'connections, which keep their initial values: {left}')
    print(report)
    outputs = record(cfg, weights) if args.config and plain.rest else None
    write_weights(args.out, weights, kept_meta(file, args.source), outputs)
    print(f'wrote {args.out}')
    print(
        f'train from it: cbnet train '
        f'{args.config or "CONFIG"} --cfg-options load_from={args.out}'
    )


def count_members(weights: dict[str, Tensor]) -> list[int]:
    """Count the entries of each member."""
    counts = Counter(
        name.split('.')[2]
        for name in weights
        if name.startswith('backbone.members.')
    )
    return list(counts.values())
