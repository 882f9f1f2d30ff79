r"""Evaluate a COCO results file: COCO's 12 figures and mmdet's.

Examples:
  cbnet eval-coco instances_val2017.json boxes.json
  cbnet eval-coco ann.json results.segm.json \
      --iou-type segm --backend faster --classwise --out figures.json

mmdet writes such results with
  cbnet test CONFIG CHECKPOINT \
      --cfg-options test_evaluator.outfile_prefix=results
"""

from argparse import Namespace
from json import dumps

from ..evaluation.coco import CLASS_FIGURES, CocoFigures, evaluate
from ..evaluation.coco_backends import BACKENDS, FASTEST
from ..evaluation.coco_input import IOU_TYPES
from ..text_tables import text_table
from .argument_types import ends_in
from .command_parser import CommandParser


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
        ends_in('.json'),
    )
    return parser


def run(args: Namespace) -> None:
    """Evaluate, print and write the figures."""
    figures = evaluate(args.ann, args.results, args.iou_type, args.backend)
    print(
        f'{figures.detections} detections ({figures.iou_type}) on '
        f'{figures.images} images, by {figures.backend}'
    )
    if not figures.detections:
        print(f'{args.results} lists no detections')
    print(figures.table, end='')
    print('mmdet, for at most 100/300/1000 detections per image:')
    for name, value in figures.mmdet.items():
        print(f'  {name} {_shown(value)}')
    if args.classwise:
        print(class_table(figures))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(dumps(figures.as_json(), indent=1) + '\n')
        print(f'figures: {args.out}')


def class_table(figures: CocoFigures) -> str:
    """Lay out one row for each class."""
    rows = [
        [row['name'], row['objects'], *(_shown(row[n]) for n in CLASS_FIGURES)]
        for row in figures.classwise
    ]
    return text_table(['class', 'objects', *CLASS_FIGURES], rows)


def _shown(value: float) -> str:
    return '-' if value == -1 else f'{value:.3f}'
