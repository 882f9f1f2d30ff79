"""Detect objects in images and videos, as ``cbnet infer``."""

import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.video import VideoReader
from mmengine.structures import InstanceData
from rich.progress import track

from ..analysis.drawing import draw_instances
from ..arguments import explained
from ..datasets.bit_depths import describe_dark
from ..errors import UserError, UserValueError
from ..evaluation.run_lengths import decode_masks
from ..inference import Inferencer
from ..inference.media import (
    VIDEO_EXTENSIONS,
    find_images,
    open_video,
    other_files,
    write_image,
    write_video,
)
from ..inference.reading import read_ahead
from ..inference.results_file import ResultsFile, meaning_of
from ..messages import number_of
from ..tta.config import add_tta
from .command_line import load_config, require_section

# an image's entry in the results, and its data in the test pipeline
Item = tuple[dict[str, Any], dict[str, Any]]


def run(args: Namespace) -> None:
    """Detect, and report what was written."""
    if args.out_dir is None:
        args.out_dir = Path('work_dirs', Path(args.config).stem, 'infer')
    args.results = args.results or args.out_dir / 'results.json'
    for out in (args.results, meaning_of(args.results)):
        if args.ann and os.path.realpath(out) == os.path.realpath(args.ann):
            raise UserValueError(
                f'--results: {out} would be written over --ann, {args.ann}; '
                f'name another file'
            )
    cfg = load_config(args)
    require_section(cfg, 'test_dataloader', 'detecting')
    tally = Tally()
    paths, video, target = find_input(args)
    if args.tta or args.tta_scales:
        add_tta(cfg, args.tta_scales)
    inferencer = Inferencer(
        cfg,
        args.checkpoint,
        args.device,
        args.verify,
        args.fast,
        run_lengths=not args.full_masks,
    )
    results = ResultsFile(inferencer.classes, list(paths), args.ann)
    meaning = results.open(args.results)
    if dark := describe_dark([*paths.values()]):
        print(dark)
    if video is None:
        items = read_images(inferencer, paths, results, tally, args.batch_size)
    else:
        items = read_frames(inferencer, video, args.input, tally)
    drawn = detect(inferencer, items, results, args, tally)
    if video is None:
        for name, pixels in drawn:
            write_image(target / name, pixels)
    else:
        write_video(target, (pixels for _, pixels in drawn), video.fps or 25.0)

    noun = 'images' if video is None else 'frames'
    print(
        f'{number_of(results.images, noun)}, {results.detections} detections'
    )
    if others := other_files(args.input, target):
        print(f'  left out  files that are not images: {others}')
    if not args.no_images and results.images:
        shown = f'{tally.drawn} with a score of {args.score_thr} or more'
        print(f'  drawn     {shown}')
        print(f'  images    {target}')
    print(f'  results   {args.results}')
    print(f'  their ids {meaning}')
    if tally.failed:
        lines = ''.join(f'\n  {line}' for line in tally.failed)
        sys.exit(f'could not detect in {len(tally.failed)}:{lines}')


@dataclass
class Tally:
    """What is counted: lines about what failed, and the drawn objects."""

    failed: list[str] = field(default_factory=list)
    drawn: int = 0


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
    tally: Tally,
    ahead: int,
) -> Iterator[Item]:
    """Read images, some ahead; note those that cannot be read."""
    contents = read_ahead(inferencer.read, paths.values(), ahead)
    for name in track(paths, 'images', len(paths)):
        try:
            data = next(contents)()
            height, width = data['img'].shape[:2]
            results.require_size(name, height, width)
        except UserError as error:
            tally.failed.append(str(error))
            continue
        size = dict(height=height, width=width)
        image = dict(id=results.image_ids[name], file_name=name, **size)
        yield image, data


def read_frames(
    inferencer: Inferencer, video: VideoReader, path: Path, tally: Tally
) -> Iterator[Item]:
    """Read a video's frames; note it if it ends early."""
    count, length = 0, max(video.frame_cnt, 0)  # 0: the file does not say
    for frame in track(video, 'frames', length or None):
        height, width = frame.shape[:2]
        size = dict(height=height, width=width)
        image = dict(id=count + 1, file_name=path.name, **size)
        yield dict(image, frame=count), inferencer.read(frame)
        count += 1
    if count < max(length, 1):
        tally.failed.append(
            f'{path}: it ends after {count} of {length} frames'
        )


def detect(
    inferencer: Inferencer,
    items: Iterable[Item],
    results: ResultsFile,
    args: Namespace,
    tally: Tally,
) -> Iterator[tuple[str, np.ndarray]]:
    """Write detections as they come; yield each name and its drawn image."""
    items = iter(items)
    while batch := list(islice(items, args.batch_size)):
        for image, data, found in detect_batch(inferencer, batch, tally):
            results.add(image, found)
            if args.no_images:
                continue
            pixels = data['img'].astype(np.uint8)[..., ::-1]
            shown = found[found.scores >= args.score_thr]
            if isinstance(shown.get('masks'), list):
                shown.masks = decode_masks(shown.masks, pixels.shape[:2])
            name = image['file_name']
            try:
                with explained(f'{name}: its detections cannot be drawn'):
                    drawn = draw_instances(pixels, shown, inferencer.classes)
            except UserError as error:
                tally.failed.append(str(error))
                continue
            tally.drawn += len(shown)
            yield name, drawn


def detect_batch(
    inferencer: Inferencer, batch: list[Item], tally: Tally
) -> list[tuple[dict, dict, InstanceData]]:
    """Detect in a batch or, if that fails, in each image; note failures."""
    try:
        found = inferencer.detect([data for _, data in batch])
    except UserError as error:
        if len(batch) > 1:
            ones = (detect_batch(inferencer, [one], tally) for one in batch)
            return [found for one in ones for found in one]
        frame = batch[0][0].get('frame')
        where = '' if frame is None else f'frame {frame}: '
        tally.failed.append(f'{where}{error}')
        return []
    return [(*item, one) for item, one in zip(batch, found, strict=True)]
