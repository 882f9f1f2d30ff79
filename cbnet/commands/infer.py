"""Detect in images or in a video: draw the detections, write the results.

A folder is searched with its subfolders, and its images are taken in the
order of their names. Only detections with a score of at least --score-thr are
drawn; the results file holds all that the detector returns, in COCO's format.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.video import VideoReader
from rich.progress import track

from ..analysis.drawing import draw_instances
from ..errors import UserError
from ..inference import Inferencer
from ..inference.media import (
    VIDEO_EXTENSIONS,
    find_images,
    open_video,
    write_image,
    write_video,
)
from ..inference.results_file import ResultsFile
from ..tta.config import add_tta
from .command_line import (
    config_parser,
    load_config,
    parse,
    require_file,
    require_section,
)
from .tta_options import add_tta_options

EXAMPLES = """examples:
  cbnet infer configs/cbnet/quickstart.py \\
      work_dirs/quickstart/trained/iter_320.pth data/shapes/val
  cbnet infer my.py my.pth holiday.mp4 --score-thr 0.5
  cbnet infer my.py my.pth data/balloon/val --no-pictures \\
      --ann data/balloon/annotations/instances_val.json --results balloons.json
"""

# an image's entry in the results, and its data in the test pipeline
Item = tuple[dict[str, Any], dict[str, Any]]


def describe() -> ArgumentParser:
    """Describe the command line."""
    parser = config_parser(
        'infer', 'CONFIG CHECKPOINT IMAGE|FOLDER|VIDEO', __doc__, EXAMPLES
    )
    parser.add_argument(
        'checkpoint', help='the file or address of the weights'
    )
    parser.add_argument(
        'input', type=Path, help='an image, a folder of images, or a video'
    )
    parser.add_argument(
        '--out-dir',
        type=Path,
        metavar='DIR',
        help='where drawn images and results go '
        '(default: ./work_dirs/<name of the config>/infer)',
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        metavar='S',
        help='the lowest score that is drawn (default: %(default)s)',
    )
    parser.add_argument(
        '--device',
        metavar='NAME',
        help='cpu, cuda:0, ... (default: a GPU if there is one)',
    )
    parser.add_argument(
        '--batch-size',
        type=int,
        default=1,
        metavar='N',
        help='images at a time (default: %(default)s); in larger batches '
        'images are padded to the largest, which changes scores a little',
    )
    parser.add_argument(
        '--no-pictures', action='store_true', help='write only the results'
    )
    parser.add_argument(
        '--results',
        type=Path,
        metavar='FILE.json',
        help='the results file; FILE.images.json beside it lists the ids of '
        'images and classes (default: DIR/results.json)',
    )
    parser.add_argument(
        '--ann',
        metavar='FILE.json',
        help='take the ids of images and classes from this COCO annotation '
        'file, by their names (default: numbered from 1)',
    )
    add_tta_options(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, detect, and report what was written."""
    parser = describe()
    args = parse(parser, argv)
    check(parser, args)
    cfg = load_config(parser, args)
    require_section(parser, cfg, 'test_dataloader', 'detecting')
    failed: list[str] = []
    try:
        paths, video, target = find_input(args)
        if args.tta or args.tta_scales:
            add_tta(cfg, args.tta_scales)
        inferencer = Inferencer(cfg, args.checkpoint, args.device)
        results = ResultsFile(inferencer.classes, list(paths), args.ann)
    except ValueError as error:
        parser.error(str(error))
    if video is None:
        items = read_images(inferencer, paths, results, failed)
    else:
        items = read_frames(inferencer, video, args.input, failed)
    drawn = detect(inferencer, items, results, args)
    if video is None:
        for name, pixels in drawn:
            write_image(target / name, pixels)
    else:
        write_video(target, (pixels for _, pixels in drawn), video.fps or 25.0)
    meaning = results.write(args.results)

    noun = 'images' if video is None else 'frames'
    print(f'{len(results.images)} {noun}, {len(results.entries)} detections')
    if not args.no_pictures and results.images:
        count = sum(e['score'] >= args.score_thr for e in results.entries)
        print(f'  drawn     {count} with a score of {args.score_thr} or more')
        print(f'  pictures  {target}')
    print(f'  results   {args.results}')
    print(f'  their ids {meaning}')
    if failed:
        lines = ''.join(f'\n  {line}' for line in failed)
        sys.exit(f'could not detect in {len(failed)}:{lines}')


def check(parser: ArgumentParser, args: Namespace) -> None:
    """Refuse options that cannot work; fill in the defaults."""
    require_file(parser, 'checkpoint', args.checkpoint)
    if not 0 <= args.score_thr <= 1:
        parser.error(f'--score-thr: {args.score_thr} is not in [0, 1]')
    if args.batch_size < 1:
        parser.error(f'--batch-size: {args.batch_size} is not 1 or more')
    if args.out_dir is None:
        args.out_dir = Path('work_dirs', Path(args.config).stem, 'infer')
    args.results = args.results or args.out_dir / 'results.json'
    if args.results.suffix != '.json':
        parser.error(f'--results: {args.results} must end in .json')


def find_input(
    args: Namespace,
) -> tuple[dict[str, Path], VideoReader | None, Path]:
    """Return the images by name or the video, and where to draw them.

    Raises:
        ValueError: there is nothing to read, or it would be overwritten.
    """
    if args.input.suffix.lower() in VIDEO_EXTENSIONS:
        if args.ann:
            raise ValueError('--ann is for images, but the input is a video')
        paths, video = {}, open_video(args.input)
        target = args.out_dir / f'{args.input.stem}.mp4'
        pairs = [(args.input, target)]
    else:
        target = args.out_dir / 'pictures'
        paths, video = find_images(args.input, target), None
        pairs = [(path, target / name) for name, path in paths.items()]
    for source, drawn in pairs:
        if source.resolve() == drawn.resolve():
            raise ValueError(f'{source} would be overwritten; give --out-dir')
    return paths, video, target


def read_images(
    inferencer: Inferencer,
    paths: dict[str, Path],
    results: ResultsFile,
    failed: list[str],
) -> Iterator[Item]:
    """Read images; add those that cannot be read to ``failed``."""
    for name, path in track(paths.items(), 'images', len(paths)):
        try:
            data = inferencer.read(path)
            height, width = data['img'].shape[:2]
            results.require_size(name, height, width)
        except UserError as error:
            failed.append(str(error))
            continue
        size = dict(height=height, width=width)
        image = dict(id=results.image_ids[name], file_name=name, **size)
        yield image, data


def read_frames(
    inferencer: Inferencer, video: VideoReader, path: Path, failed: list[str]
) -> Iterator[Item]:
    """Read a video's frames; add it to ``failed`` if it ends early."""
    count, length = 0, max(video.frame_cnt, 0)  # 0: the file does not say
    for frame in track(video, 'frames', length or None):
        height, width = frame.shape[:2]
        size = dict(height=height, width=width)
        image = dict(id=count + 1, file_name=path.name, **size)
        yield dict(image, frame=count), inferencer.read(frame)
        count += 1
    if count < max(length, 1):
        failed.append(f'{path}: it ends after {count} of {length} frames')


def detect(
    inferencer: Inferencer,
    items: Iterable[Item],
    results: ResultsFile,
    args: Namespace,
) -> Iterator[tuple[str, np.ndarray]]:
    """Add detections to the results; yield each name and its drawn image."""
    items = iter(items)
    while batch := list(islice(items, args.batch_size)):
        predictions = inferencer.detect([data for _, data in batch])
        for (image, data), found in zip(batch, predictions, strict=True):
            results.add(image, found)
            if not args.no_pictures:
                pixels = data['img'].astype(np.uint8)[..., ::-1]
                shown = found[found.scores >= args.score_thr]
                drawn = draw_instances(pixels, shown, inferencer.classes)
                yield image['file_name'], drawn
