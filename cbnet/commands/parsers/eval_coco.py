r"""Evaluate a COCO results file: COCO's 12 figures and mmdet's.

Examples:
  cbnet eval-coco instances_val2017.json boxes.json
  cbnet eval-coco ann.json results.segm.json \
      --iou-type segm --backend faster --classwise --out figures.json

mmdet writes such results with
  cbnet test CONFIG CHECKPOINT \
      --cfg-options test_evaluator.outfile_prefix=results
"""

from ..argument_types import new_file
from ..choices import BACKENDS, FASTEST, IOU_TYPES
from ..command_parser import CommandParser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = CommandParser(__name__, __doc__, 'ANN RESULTS')
    parser.option('ann', 'the annotation file in COCO format')
    parser.option('results', "the detections in COCO's results format")
    parser.option(
        '--iou-type',
        'whether to compare boxes or masks',
        choices=IOU_TYPES,
        default='bbox',
    )
    parser.option(
        '--backend',
        'the package that computes the figures, which are the same: hotcoco, '
        'faster (faster-coco-eval), pycocotools, or the fastest one that is '
        'installed',
        choices=[FASTEST, *BACKENDS],
        default=FASTEST,
    )
    parser.option('--classwise', 'print the AP of each class')
    parser.option(
        '--out FILE.json',
        'write the figures to this file as well, not rounded',
        new_file('.json'),
    )
    return parser
