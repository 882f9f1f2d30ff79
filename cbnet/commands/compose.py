"""Write the composite twin of a config: a short file that inherits from it.

The twin keeps the detector, data and schedule of the config; every member is
the config's backbone. The twin's model is built, without weights, as a check:
on the meta device, or in memory where a constructor needs numbers.
"""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from ..models.backbones import STYLES
from ..twins import TwinOptions, compose, default_name
from .command_line import command_parser

EXAMPLES = """examples:
  cbnet compose mmdet::gfl/gfl_r50_fpn_1x_coco.py
  cbnet compose my_config.py --out configs/my_dual.py
  cbnet compose my_config.py --members 3 --assistance 0.5 1
"""


def shared(text: str) -> int | str | None:
    """Parse a number of stages, ``none`` or ``published``."""
    text = text.lower()
    if text == TwinOptions.shared_stages:
        return text
    return None if text == 'none' else int(text)


def make_parser() -> ArgumentParser:
    """Make the parser."""
    parser = command_parser('compose', 'CONFIG', __doc__, EXAMPLES)
    parser.add_argument(
        'config',
        help='the config file of an mmdet detector, also one from an '
        'installed package: mmdet::gfl/gfl_r50_fpn_1x_coco.py',
    )
    parser.add_argument(
        '--members',
        type=int,
        default=2,
        metavar='N',
        help='the number of members (default: 2; 1 gives the plain detector '
        'with the names of a composite)',
    )
    parser.add_argument(
        '--style',
        default='dhlc',
        metavar='NAME',
        help=f'the style of the connections: {", ".join(STYLES)} '
        '(default: dhlc)',
    )
    parser.add_argument(
        '--assistance',
        type=float,
        nargs='+',
        metavar='WEIGHT',
        help="the weight of each assistant's losses, or one number for all; "
        '0 means no losses (default: as in the published code, 0.5 for the '
        "first and 1 for further ones; the paper's weights for more than one "
        'assistant are not known)',
    )
    parser.add_argument(
        '--shared-stages',
        type=shared,
        default=TwinOptions.shared_stages,
        metavar='N',
        help='the number of leading stages that later members share with the '
        'first one; 0 shares only the stem, none shares nothing (default: as '
        "published for the member's family, 1 for CNNs and 0 for Swin)",
    )
    parser.add_argument(
        '--proposals',
        choices=['lead', 'own'],
        help="whose proposals the assistants' RoI losses see (default: lead, "
        'as published, where the detector has RPN and RoI heads; else own)',
    )
    parser.add_argument(
        '--out',
        metavar='FILE',
        help='the file to write (default: ./dual_<name of the config>; '
        'single_, triple_, composite4_, ... for other numbers of members)',
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line and write the twin."""
    parser = make_parser()
    args = parser.parse_args(argv)
    weights = args.assistance
    if weights is not None and len(weights) == 1:
        weights = weights[0]
    options = TwinOptions(
        members=args.members,
        style=args.style,
        shared_stages=args.shared_stages,
        weights=weights,
        proposals=args.proposals,
    )
    out = Path(args.out or default_name(args.config, args.members))
    try:
        model, remarks = compose(args.config, out, options)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    for remark in remarks:
        print(f'note: {remark}')
    print(f'built: {describe(model)}')
    print(f'wrote {out}')
    print(f'train: cbnet train {out}')


def describe(model: nn.Module) -> str:
    """Describe a twin in one line."""
    composite = model.backbone
    weights = ', '.join(f'{weight:g}' for weight in model.assistant_weights)
    return (
        f'{type(model).__name__}, {composite.num_members} x '
        f'{type(composite.members[0]).__name__}, style {composite.style}, '
        f'shared stages {composite.shared_stages}, assistance '
        f'{weights or "none"}, proposals {model.proposals}'
    )
