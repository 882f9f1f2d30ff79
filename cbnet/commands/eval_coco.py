"""Evaluate a COCO results file, as ``cbnet eval-coco``."""

from argparse import Namespace
from json import dumps

from ..evaluation.coco import CLASS_FIGURES, CocoFigures, evaluate
from ..text_tables import text_table


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
