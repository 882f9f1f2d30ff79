"""Detect in pictures or in a video: draw what was found, write results.

A folder is searched with its subfolders; pictures are taken in the order of
their names.  They show detections from --score-thr on; the results file holds
all that the detector gives, in COCO's format.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from ..inference.detections import draw_detections, to_instances
from ..inference.detector import Detector
from ..inference.media import (
    PictureWriter,
    Video,
    VideoWriter,
    find_pictures,
    is_video,
)
from ..inference.results_file import ResultsFile
from ..tta.config import add_tta, add_tta_options
from .command_line import (
    config_parser,
    load_config,
    parse,
    require_file,
    require_section,
)

EXAMPLES = """examples:
  cbnet infer configs/cbnet/quickstart.py \\
      work_dirs/quickstart/trained/iter_320.pth data/shapes/val
  cbnet infer my.py my.pth holiday.mp4 --score-thr 0.5
  cbnet infer my.py my.pth data/balloon/val --no-pictures \\
      --ann data/balloon/annotations/instances_val.json --results balloons.json
"""

Item = tuple[dict[str, Any], dict[str, Any]]  # its record, its pipeline data


def describe() -> ArgumentParser:
    """Describe the command line."""
    parser = config_parser(
        'infer', 'CONFIG CHECKPOINT IMAGE|FOLDER|VIDEO', __doc__, EXAMPLES
    )
    parser.add_argument('checkpoint', help='file or address of the weights')
    parser.add_argument(
        'input', type=Path, help='picture, folder of pictures, or video'
    )
    parser.add_argument(
        '--out-dir',
        type=Path,
        metavar='DIR',
        help='where pictures and results go '
        '(default: ./work_dirs/<name of the config>/infer)',
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        metavar='S',
        help='least score of what is drawn (default: %(default)s)',
    )
    parser.add_argument(
        '--device',
        metavar='NAME',
        help='cpu, cuda:0, ... (default: a GPU where there is one)',
    )
    parser.add_argument(
        '--batch-size',
        type=int,
        default=1,
        metavar='N',
        help='pictures at a time (default: %(default)s); with more, small '
        'ones are padded to the largest, which moves scores a little',
    )
    parser.add_argument(
        '--no-pictures', action='store_true', help='write the results only'
    )
    parser.add_argument(
        '--results',
        type=Path,
        metavar='FILE.json',
        help='the results file; FILE.images.json beside it says which id is '
        'which picture and which class (default: DIR/results.json)',
    )
    parser.add_argument(
        '--ann',
        metavar='FILE.json',
        help='take the ids of pictures and classes from this COCO annotation '
        'file, by their names (default: numbered from 1)',
    )
    add_tta_options(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, detect, say what was written."""
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
        detector = Detector(cfg, args.checkpoint, args.device)
        results = ResultsFile(detector.classes, list(paths), args.ann)
    except ValueError as error:
        parser.error(str(error))
    if video is None:
        items = read_pictures(detector, paths, results, failed)
        writer = PictureWriter(target)
    else:
        items = read_frames(detector, video, failed)
        writer = VideoWriter(target, video.fps)
    drawn = 0
    for image, pixels, found in detect(detector, items, results, args):
        results.add(image, found)
        if args.no_pictures:
            continue
        shown = [one for one in found if one.score >= args.score_thr]
        drawn += len(shown)
        picture = draw_detections(pixels, shown, results.categories)
        writer.write(image['file_name'], picture)
    writer.close()
    meaning = results.write(args.results)

    noun = 'pictures' if video is None else 'frames'
    print(f'{len(results.images)} {noun}, {len(results.entries)} detections')
    if not args.no_pictures and results.images:
        print(f'  drawn     {drawn} with a score from {args.score_thr}')
        print(f'  pictures  {target}')
    print(f'  results   {args.results}')
    print(f'  their ids {meaning}')
    if failed:
        lines = ''.join(f'\n  {line}' for line in failed)
        sys.exit(f'{len(failed)} not detected in:{lines}')


def check(parser: ArgumentParser, args: Namespace) -> None:
    """Refuse what cannot work; fill in the defaults."""
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
) -> tuple[dict[str, Path], Video | None, Path]:
    """Give the pictures by name or the video, and where it is drawn.

    Raises:
        ValueError: there is nothing to read, or it would be overwritten.
    """
    if is_video(args.input):
        if args.ann:
            raise ValueError('--ann is of pictures, the input is a video')
        paths, video = {}, Video(args.input)
        target = args.out_dir / f'{args.input.stem}.mp4'
        pairs = [(args.input, target)]
    else:
        target = args.out_dir / 'pictures'
        paths, video = find_pictures(args.input, target), None
        pairs = [(path, target / name) for name, path in paths.items()]
    for source, drawn in pairs:
        if source.resolve() == drawn.resolve():
            raise ValueError(f'{source} would be overwritten; give --out-dir')
    return paths, video, target


def read_pictures(
    detector: Detector,
    paths: dict[str, Path],
    results: ResultsFile,
    failed: list[str],
) -> Iterator[Item]:
    """Read pictures; name in ``failed`` those that cannot be."""
    for name, path in track(paths.items(), 'pictures', len(paths)):
        image_id = results.image_ids[name]
        try:
            data = detector.read(path)
            height, width = data['img'].shape[:2]
            results.require_size(image_id, height, width)
        except ValueError as error:
            failed.append(f'{path}: {error}')
            continue
        size = dict(height=height, width=width)
        yield dict(id=image_id, file_name=name, **size), data


def read_frames(
    detector: Detector, video: Video, failed: list[str]
) -> Iterator[Item]:
    """Read a video's frames; name it in ``failed`` if it ends early."""
    count = 0
    for frame in track(video, 'frames', video.length or None):
        height, width = frame.shape[:2]
        size = dict(height=height, width=width)
        image = dict(id=count + 1, file_name=video.path.name, **size)
        yield dict(image, frame=count), detector.take(frame)
        count += 1
    if count < max(video.length, 1):
        failed.append(f'{video.path}: ends after {count} of {video.length}')


def detect(
    detector: Detector,
    items: Iterable[Item],
    results: ResultsFile,
    args: Namespace,
) -> Iterator[tuple]:
    """Give every picture's record, its RGB pixels and its detections."""
    items = iter(items)
    while batch := list(islice(items, args.batch_size)):
        predictions = detector.detect([data for _, data in batch])
        for (image, data), prediction in zip(batch, predictions, strict=True):
            pixels = data['img'].astype(np.uint8)[..., ::-1]
            yield image, pixels, to_instances(prediction, results.category_ids)
