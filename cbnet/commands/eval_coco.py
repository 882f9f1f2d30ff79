"""Evaluate a COCO results file: COCO's 12 figures and mmdet's."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from json import dumps
from pathlib import Path

from ..evaluation.coco import CLASS_FIGURES, CocoFigures, evaluate
from ..evaluation.coco_backends import BACKENDS
from ..evaluation.coco_input import IOU_TYPES
from ..text_tables import text_table

EXAMPLES = """examples:
  cbnet eval-coco instances_val2017.json boxes.json
  cbnet eval-coco ann.json results.segm.json \\
      --iou-type segm --backend faster --classwise --out figures.json

mmdet writes such results with
  cbnet test CONFIG CHECKPOINT \\
      --cfg-options test_evaluator.outfile_prefix=results
"""


def main() -> None:
    """Read the command line, evaluate, print and write the figures."""
    parser = ArgumentParser(
        usage='%(prog)s ANN RESULTS [options]',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument('ann', help='the annotation file in COCO format')
    parser.add_argument(
        'results', help="the detections in COCO's results format"
    )
    parser.add_argument(
        '--iou-type',
        choices=IOU_TYPES,
        default='bbox',
        help='whether to compare boxes or masks (default: bbox)',
    )
    parser.add_argument(
        '--backend',
        choices=BACKENDS,
        default='pycocotools',
        help='pycocotools, or faster for the package faster-coco-eval, which '
        'gives the same figures (default: pycocotools)',
    )
    parser.add_argument(
        '--classwise', action='store_true', help='print the AP of each class'
    )
    parser.add_argument(
        '--out',
        metavar='FILE.json',
        type=Path,
        help='write the figures to this file as well, not rounded',
    )
    args = parser.parse_args()
    if args.out and args.out.suffix != '.json':
        parser.error(f'--out: {args.out} must end in .json')
    try:
        figures = evaluate(args.ann, args.results, args.iou_type, args.backend)
    except ValueError as error:
        parser.error(str(error))
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
