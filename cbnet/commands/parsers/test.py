r"""Evaluate a checkpoint with the test set and the metrics of a config.

Examples:
  cbnet test configs/cbnet/quickstart.py \
      work_dirs/quickstart/trained/iter_320.pth --show-dir figures
  cbnet test configs/cbnet/dual_r50.py dual_r50.pth --out boxes.pkl
  cbnet test configs/cbnet/quickstart.py \
      work_dirs/quickstart/trained/iter_320.pth \
      --tta-scales 256,205 320,256 384,307
  torchrun --nproc_per_node 8 -m cbnet test configs/cbnet/dual_r50.py \
      dual_r50.pth --launcher pytorch
"""

from ..argument_types import (
    at_least,
    file_or_address,
    new_file,
    new_folder,
)
from ..command_parser import CommandParser
from ..options import (
    add_fast_option,
    add_full_masks_option,
    add_tta_options,
    add_verify_option,
    run_parser,
)


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = run_parser(__name__, __doc__, 'CONFIG CHECKPOINT')
    parser.option(
        'checkpoint', 'the file or address of the weights', file_or_address
    )
    parser.option(
        '--out FILE',
        'also write the predictions as a pickle file (.pkl): a list '
        'with one dict per image, masks as COCO run lengths',
        new_file('.pkl', '.pickle'),
    )
    parser.option(
        '--show-dir DIR',
        'also write one figure per image, with the ground truth on the '
        'left and the detections on the right',
        new_folder,
    )
    parser.option(
        '--batch-size N',
        'the number of images at a time in each process (default: that of the '
        'config, mostly 1); in larger batches images are padded to the '
        'largest, which changes scores a little',
        at_least(1),
    )
    add_tta_options(parser)
    add_fast_option(parser)
    add_full_masks_option(parser)
    add_verify_option(parser)
    return parser
