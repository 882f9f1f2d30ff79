"""Write the composite twin of a config: a short file that inherits from it.

The twin keeps the detector, data and schedule of the config; every member is
the config's backbone. The twin's model is built, without weights, as a check:
on the meta device, or in memory where a constructor needs numbers.

Examples:
  cbnet compose mmdet::gfl/gfl_r50_fpn_1x_coco.py
  cbnet compose my_config.py --out configs/my_dual.py
  cbnet compose my_config.py --members 3 --assistance 0.5 1
"""

from argparse import Namespace
from pathlib import Path

from torch import nn

from ..models.backbones import STYLES
from ..twins import TwinOptions, assisted_part, compose, default_name
from .argument_types import shared_stages
from .command_parser import CommandParser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = CommandParser(__name__, __doc__, 'CONFIG')
    parser.option(
        'config',
        'the config file of an mmdet detector, also one from an '
        'installed package: mmdet::gfl/gfl_r50_fpn_1x_coco.py',
    )
    parser.option(
        '--members N',
        'the number of members (default: %(default)s; 1 gives the plain '
        'detector with the names of a composite)',
        int,
        default=TwinOptions.members,
    )
    parser.option(
        '--style NAME',
        f'the style of the connections: {", ".join(STYLES)}',
        default=TwinOptions.style,
    )
    parser.option(
        '--assistance WEIGHT ...',
        "the weight of each assistant's losses, or one number for all; "
        '0 means no losses (default: as in the published code, 0.5 for the '
        "first and 1 for further ones; the paper's weights for more than one "
        'assistant are not known)',
        float,
    )
    parser.option(
        '--shared-stages N',
        'the number of leading stages that later members share with the '
        'first one; 0 shares only the stem, none shares nothing (default: as '
        "published for the member's family, 1 for CNNs and 0 for Swin)",
        shared_stages,
        default=TwinOptions.shared_stages,
    )
    parser.option(
        '--proposals',
        "whose proposals the assistants' RoI losses see (default: lead, "
        'as published, where the detector has RPN and RoI heads; else own)',
        choices=['lead', 'own'],
    )
    parser.option(
        '--at PLACE',
        'where the detector is in the config, such as model.detector '
        '(default: the model itself, or the detector that it holds, as in '
        'SoftTeacher and ByteTrack)',
    )
    parser.option(
        '--out FILE',
        'the file to write (default: ./dual_<name of the config>; '
        'single_, triple_, composite4_, ... for other numbers of members)',
    )
    return parser


def run(args: Namespace) -> None:
    """Write the twin."""
    weights = args.assistance
    if weights is not None and len(weights) == 1:
        weights = weights[0]
    options = TwinOptions(
        members=args.members,
        style=args.style,
        shared_stages=args.shared_stages,
        weights=weights,
        proposals=args.proposals,
        at=args.at,
    )
    out = Path(args.out or default_name(args.config, args.members))
    model, remarks = compose(args.config, out, options)
    for remark in remarks:
        print(f'note: {remark}')
    print(f'built: {describe(model)}')
    print(f'wrote {out}')
    print(f'train: cbnet train {out}')


def describe(model: nn.Module) -> str:
    """Describe a twin in one line."""
    detector = assisted_part(model)
    composite = detector.backbone
    weights = ', '.join(f'{w:g}' for w in detector.assistant_weights)
    held = '' if detector is model else f'{type(model).__name__} with '
    return (
        f'{held}{type(detector).__name__}, {composite.num_members} x '
        f'{type(composite.members[0]).__name__}, style {composite.style}, '
        f'shared stages {composite.shared_stages}, assistance '
        f'{weights or "none"}, proposals {detector.proposals}'
    )
