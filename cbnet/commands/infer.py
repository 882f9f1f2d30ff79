r"""Detect in images or in a video: draw the detections, write the results.

A folder is searched with its subfolders, and its images are taken in the
order of their names. Only detections with a score of at least --score-thr are
drawn; the results file holds all that the detector returns, in COCO's format.

Examples:
  cbnet infer configs/cbnet/quickstart.py \
      work_dirs/quickstart/trained/iter_320.pth data/shapes/val
  cbnet infer my.py my.pth holiday.mp4 --score-thr 0.5
  cbnet infer my.py my.pth data/balloon/val --no-images \
      --ann data/balloon/annotations/instances_val.json --results balloons.json
"""

import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.video import VideoReader
from rich.progress import track

from ..analysis.drawing import draw_instances
from ..errors import UserError, UserValueError
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
from .argument_types import at_least, ends_in, file_or_address, score
from .command_line import (
    add_tta_options,
    add_verify_option,
    config_parser,
    load_config,
    require_section,
)
from .command_parser import CommandParser

# an image's entry in the results, and its data in the test pipeline
Item = tuple[dict[str, Any], dict[str, Any]]


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = config_parser(
        __name__, __doc__, 'CONFIG CHECKPOINT IMAGE|FOLDER|VIDEO'
    )
    parser.option(
        'checkpoint', 'the file or address of the weights', file_or_address
    )
    parser.option('input', 'an image, a folder of images, or a video', Path)
    parser.option(
        '--out-dir DIR',
        'where drawn images and results go '
        '(default: ./work_dirs/<name of the config>/infer)',
        Path,
    )
    parser.option(
        '--score-thr S', 'the lowest score that is drawn', score, default=0.3
    )
    parser.option(
        '--device NAME', 'cpu, cuda:0, ... (default: a GPU if there is one)'
    )
    parser.option(
        '--batch-size N',
        'images at a time (default: %(default)s); in larger batches '
        'images are padded to the largest, which changes scores a little',
        at_least(1),
        default=1,
    )
    parser.option('--no-images', 'write only the results')
    parser.option(
        '--results FILE.json',
        'the results file; FILE.images.json beside it lists the ids of '
        'images and classes (default: DIR/results.json)',
        ends_in('.json'),
    )
    parser.option(
        '--ann FILE.json',
        'take the ids of images and classes from this COCO annotation '
        'file, by their names (default: numbered from 1)',
    )
    add_tta_options(parser)
    add_verify_option(parser)
    return parser


def run(args: Namespace) -> None:
    """Detect, and report what was written."""
    if args.out_dir is None:
        args.out_dir = Path('work_dirs', Path(args.config).stem, 'infer')
    args.results = args.results or args.out_dir / 'results.json'
    cfg = load_config(args)
    require_section(cfg, 'test_dataloader', 'detecting')
    failed: list[str] = []
    paths, video, target = find_input(args)
    if args.tta or args.tta_scales:
        add_tta(cfg, args.tta_scales)
    inferencer = Inferencer(cfg, args.checkpoint, args.device, args.verify)
    results = ResultsFile(inferencer.classes, list(paths), args.ann)
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
    if not args.no_images and results.images:
        count = sum(e['score'] >= args.score_thr for e in results.entries)
        print(f'  drawn     {count} with a score of {args.score_thr} or more')
        print(f'  images    {target}')
    print(f'  results   {args.results}')
    print(f'  their ids {meaning}')
    if failed:
        lines = ''.join(f'\n  {line}' for line in failed)
        sys.exit(f'could not detect in {len(failed)}:{lines}')


def find_input(
    args: Namespace,
) -> tuple[dict[str, Path], VideoReader | None, Path]:
    """Return the images by name or the video, and where to draw them.

    Raises:
        ValueError: there is nothing to read, or it would be overwritten.
    """
    if args.input.suffix.lower() in VIDEO_EXTENSIONS:
        if args.ann:
            raise UserValueError(
                '--ann is for images, but the input is a video'
            )
        paths, video = {}, open_video(args.input)
        target = args.out_dir / f'{args.input.stem}.mp4'
        pairs = [(args.input, target)]
    else:
        target = args.out_dir / 'images'
        paths, video = find_images(args.input, target), None
        pairs = [(path, target / name) for name, path in paths.items()]
    for source, drawn in pairs:
        if source.resolve() == drawn.resolve():
            raise UserValueError(
                f'{source} would be overwritten; give --out-dir'
            )
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
            if not args.no_images:
                pixels = data['img'].astype(np.uint8)[..., ::-1]
                shown = found[found.scores >= args.score_thr]
                drawn = draw_instances(pixels, shown, inferencer.classes)
                yield image['file_name'], drawn
