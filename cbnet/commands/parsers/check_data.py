r"""Check that a config can train on data, and be evaluated on them.

The annotation files are checked, every training image goes through the
training pipeline, and the objects of the validation set are evaluated as if
a detector had found them: their AP must be 1.0. The exit status is 0 only if
all is well.

Examples:
  cbnet check-data --data-root data/balloon
  cbnet check-data --data-root data/mine --json report.json \
      --config mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py
  cbnet check-data --config configs/cbnet/dual_r50.py
"""

from ..argument_types import new_file
from ..command_parser import CommandParser
from ..options import CONFIG, add_overrides, add_work_dir_option
from .train import add_data_options


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = CommandParser(__name__, __doc__)
    parser.option('--config', CONFIG, default='cbnet::cbnet/dual_lite0.py')
    add_overrides(parser)
    add_work_dir_option(parser, 'copies of annotation files, where needed')
    parser.option(
        '--json FILE', 'also write what was found to this file', new_file()
    )
    add_data_options(parser)
    parser.option('--no-val', 'check only the training data')
    return parser
