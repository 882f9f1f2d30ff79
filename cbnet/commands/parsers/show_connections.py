r"""Draw what each member of a composite computes and what connections add.

The figure for an image has a row for each member, with the map of each stage.
Between them, a row for each connection shows what it adds to the stage inputs
of the next member, and how strong that is.

Examples:
  cbnet show-connections \
      configs/cbnet/quickstart.py data/shapes/val/000001.jpg \
      --checkpoint work_dirs/quickstart/trained/iter_320.pth
  cbnet show-connections my.py photo.jpg \
      --out start.png --cfg-options model.backbone.style=fcc
"""

from ..argument_types import file_or_address, local_file, new_file
from ..command_parser import CommandParser
from ..options import config_parser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = config_parser(__name__, __doc__, 'CONFIG IMAGE')
    parser.option('image', 'the image to look at', local_file)
    parser.option(
        '--checkpoint FILE',
        'file or address of the weights (default: those that training '
        'starts from; the connections of CNNs then add zero)',
        file_or_address,
    )
    parser.option(
        '--out FILE.png',
        'the figure (default: ./connections_<name of IMAGE>.png)',
        new_file('.png'),
    )
    parser.option(
        '--device NAME', 'cpu, cuda:0, ... (default: a GPU if there is one)'
    )
    return parser
