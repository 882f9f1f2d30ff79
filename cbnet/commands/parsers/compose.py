"""Write the composite twin of a config: a short file that inherits from it.

The twin keeps the detector, data and schedule of the config; every member is
the config's backbone. The twin's model is built, without weights, as a check:
on the meta device, or in memory where a constructor needs numbers.

Examples:
  cbnet compose mmdet::gfl/gfl_r50_fpn_1x_coco.py
  cbnet compose my_config.py --out configs/my_dual.py
  cbnet compose my_config.py --members 3 --assistance 0.5 1
"""

from ..argument_types import new_file, shared_stages
from ..choices import MEMBERS, SHARED_STAGES, STYLE, STYLES
from ..command_parser import CommandParser


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
        default=MEMBERS,
    )
    parser.option(
        '--style NAME',
        f'the style of the connections: {", ".join(STYLES)}',
        default=STYLE,
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
        default=SHARED_STAGES,
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
        new_file(),
    )
    return parser
