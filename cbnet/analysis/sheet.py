r"""A picture sheet: ground truth on the left, detections on the right.

From a shell, with the files that mmdet's ``CocoMetric`` writes where its
``outfile_prefix`` is set::

    python -m cbnet.analysis.sheet --ann instances_val.json --images val \
        --bbox results.bbox.json --segm results.segm.json --out sheet.png
"""

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from mmengine.logging import print_log
from PIL import Image

from ..datasets.annotations import CocoAnnotations, Instance
from ..datasets.results import CocoResults, read_results
from ..errors import UserValueError
from .panels import class_colours, draw_panel

# All lengths of the sheet are pixels; at this resolution a point of text is
# dpi / 72 of them.
_DPI = 100
_MARGIN, _GUTTER, _ROW_GAP = 20, 14, 10
_TITLE, _CAPTION, _LEGEND_ROW = 40, 22, 28
_INK = '#222222'
_QUIET = '#6b6b6b'
# A tall picture is shown smaller rather than a row taller than this many
# column widths.
_TALLEST = 1.3


def picture_sheet(
    ann_file: str | os.PathLike,
    image_dir: str | os.PathLike,
    results: Iterable[dict],
    out_file: str | os.PathLike,
    score_thr: float = 0.5,
    num_images: int = 6,
    image_ids: Sequence[int] | None = None,
    column_width: int = 560,
) -> Path:
    """Draw annotations beside detections, one row for each image.

    Args:
        ann_file: COCO annotations of the images.
        image_dir: Folder that the annotations' file names are relative to.
        results: Detections in COCO's results format, see
            :func:`cbnet.datasets.results.read_results`.
        out_file: PNG to write; its folder is made where it is missing.
        score_thr: Detections below this score are left out.
        num_images: Images to show, picked evenly from all.
        image_ids: Images to show instead of an even pick.
        column_width: Width of each picture on the sheet, in pixels.

    Returns:
        The file written.

    Raises:
        ValueError: A file is missing or of another kind, an id is unknown,
            or an argument is out of range.
    """
    if not 0 <= score_thr <= 1:
        raise UserValueError(f'score_thr must lie in [0, 1], got {score_thr}')
    if num_images < 1:
        raise UserValueError(f'num_images must be 1 or more, got {num_images}')
    if column_width < 200:
        raise UserValueError(
            f'column_width must be 200 or more, got {column_width}'
        )
    if Path(out_file).suffix.lower() != '.png':
        raise UserValueError(f'out_file must end in .png, got {out_file}')
    annotations = CocoAnnotations(ann_file)
    detections = CocoResults(results, annotations)
    shown = _pick(annotations, image_ids, num_images)
    rows = [
        (
            annotations.images[image_id],
            _read_image(annotations.images[image_id], Path(image_dir)),
            annotations.instances(image_id),
            detections.instances(image_id, score_thr),
        )
        for image_id in shown
    ]
    figure = _draw(rows, annotations.categories, score_thr, column_width)
    out_file = Path(out_file)
    out_file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out_file, dpi=_DPI)
    print_log(f'Wrote {len(rows)} images to {out_file}', 'current')
    return out_file


def _pick(
    annotations: CocoAnnotations,
    image_ids: Sequence[int] | None,
    num_images: int,
) -> list[int]:
    if not annotations.images:
        raise UserValueError(f'{annotations.path} lists no images')
    if image_ids is None:
        known = sorted(annotations.images)
        places = np.linspace(0, len(known) - 1, min(num_images, len(known)))
        return [known[place] for place in np.rint(places).astype(int)]
    if not image_ids:
        raise UserValueError('image_ids is empty: name an image, or pass None')
    unknown = [i for i in image_ids if i not in annotations.images]
    if unknown:
        raise UserValueError(
            f'image_ids {unknown} are not among the images of '
            f'{annotations.path}'
        )
    return list(image_ids)


def _read_image(image: dict, image_dir: Path) -> np.ndarray:
    path = image_dir / image['file_name']
    if not path.is_file():
        raise UserValueError(
            f'{path} is not a file: image_dir must be the folder that the '
            "annotations' file names are relative to"
        )
    # Annotations are of the stored pixels, whatever the camera's rotation.
    with Image.open(path) as opened:
        pixels = np.asarray(opened.convert('RGB'))
    height, width = pixels.shape[:2]
    if (height, width) != (image['height'], image['width']):
        raise UserValueError(
            f'{path} is {width}x{height} pixels, its annotations are of '
            f'{image["width"]}x{image["height"]}'
        )
    return pixels


def _draw(
    rows: list[tuple[dict, np.ndarray, list[Instance], list[Instance]]],
    categories: dict[int, str],
    score_thr: float,
    column_width: int,
) -> Figure:
    """Lay the sheet out from top to bottom, in pixels."""
    heights = [
        round(column_width * min(p.shape[0] / p.shape[1], _TALLEST))
        for _, p, _, _ in rows
    ]
    seen = {i.category_id for _, _, *both in rows for s in both for i in s}
    entries = [c for c in sorted(categories) if c in seen]
    width = 2 * _MARGIN + 2 * column_width + _GUTTER
    legend_columns = max(1, min(len(entries), (width - 2 * _MARGIN) // 125))
    legend_height = _LEGEND_ROW * -(-len(entries) // legend_columns)
    height = (
        2 * _MARGIN
        + _TITLE
        + sum(heights)
        + len(rows) * (_CAPTION + _ROW_GAP)
        + legend_height
    )
    figure = Figure((width / _DPI, height / _DPI), _DPI, facecolor='white')
    FigureCanvasAgg(figure)
    colours = class_colours(categories)

    def write(x: float, y: float, text: str, **style) -> None:
        figure.text(x / width, 1 - y / height, text, va='center', **style)

    lefts = _MARGIN, _MARGIN + column_width + _GUTTER
    titles = 'Ground truth', f'Detections, score ≥ {score_thr:.2f}'
    for left, title in zip(lefts, titles, strict=True):
        write(
            left,
            _MARGIN + _TITLE / 2 - 4,
            title,
            size=15,
            weight='bold',
            color=_INK,
        )
    top = _MARGIN + _TITLE
    for (image, pixels, *columns), row_height in zip(
        rows, heights, strict=True
    ):
        for left, instances in zip(lefts, columns, strict=True):
            known = instances is columns[0]
            noun = 'object' if known else 'detection'
            count = f'{len(instances)} {noun}' + 's' * (len(instances) != 1)
            caption = f'{image["file_name"]}: {count}' if known else count
            write(left, top + _CAPTION / 2, caption, size=9, color=_QUIET)
            bottom = top + _CAPTION + row_height
            axes = figure.add_axes(
                (
                    left / width,
                    1 - bottom / height,
                    column_width / width,
                    row_height / height,
                )
            )
            draw_panel(axes, pixels, instances, categories, colours)
        top += _CAPTION + row_height + _ROW_GAP
    if entries:
        handles = [
            Patch(color=colours[c], label=categories[c]) for c in entries
        ]
        figure.legend(
            handles=handles,
            loc='center',
            bbox_to_anchor=(0.5, (_MARGIN / 2 + legend_height / 2) / height),
            ncols=legend_columns,
            frameon=False,
            fontsize=11,
            labelcolor=_INK,
            handlelength=1.1,
            handleheight=1.1,
        )
    return figure


def main(args: Sequence[str] | None = None) -> None:
    """Draw a sheet from command-line arguments."""
    parser = argparse.ArgumentParser(
        prog='python -m cbnet.analysis.sheet',
        description='Draw ground truth beside detections, one PNG.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(
        '--ann', required=True, help='COCO annotation file of the images'
    )
    parser.add_argument('--images', required=True, help='folder of the images')
    parser.add_argument('--bbox', help='results file with boxes')
    parser.add_argument(
        '--segm', help='results file with masks, with or without --bbox'
    )
    parser.add_argument('--out', required=True, help='PNG file to write')
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.5,
        help='least score of the detections drawn',
    )
    parser.add_argument(
        '--num-images',
        type=int,
        default=6,
        help='images to show, picked evenly',
    )
    parser.add_argument(
        '--image-ids',
        type=int,
        nargs='+',
        help='ids of the images to show instead',
    )
    options = parser.parse_args(args)
    try:
        picture_sheet(
            options.ann,
            options.images,
            read_results(
                getattr(options, 'bbox', None), getattr(options, 'segm', None)
            ),
            options.out,
            score_thr=options.score_thr,
            num_images=options.num_images,
            image_ids=getattr(options, 'image_ids', None),
        )
    except ValueError as error:
        parser.error(str(error))


if __name__ == '__main__':
    main()
