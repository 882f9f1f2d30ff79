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

from pathlib import Path

from ..argument_types import at_least, new_file, shared_stages
from ..command_parser import CommandParser


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
    parser.option('out OUT.pth', 'the file to write', new_file())
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
