"""Show what a config feeds its model: images after augmentation.

Batches are made as in training, by the config's data set with its wrappers,
its sampler and the model's data preprocessor; only the normalisation is
undone.  A dashed line ends the image where it was padded; what is ignored
(crowds) is grey.
"""

from argparse import ArgumentParser
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from ..analysis.contact_sheet import contact_sheet, single_pictures
from ..analysis.fed_images import FedImages
from ..datasets.checked_images import check_images
from .command_line import config_parser, load_config, parse

EXAMPLES = """examples:
  cbnet browse-data configs/cbnet/quickstart.py
  cbnet browse-data my_config.py --num 8 --seed 3 \\
      --out fed.png --cfg-options train_dataloader.batch_size=4
  cbnet browse-data my_config.py --split val \\
      --out pictures
"""


def describe() -> ArgumentParser:
    """Describe the command line."""
    parser = config_parser('browse-data', 'CONFIG', __doc__, EXAMPLES)
    parser.add_argument(
        '--split',
        choices=('train', 'val'),
        default='train',
        help='which dataloader of the config (default: train)',
    )
    parser.add_argument(
        '--num',
        type=int,
        default=16,
        metavar='N',
        help='images to show, at most (default: 16)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('fed_images.png'),
        metavar='FILE.png|DIR',
        help='one picture of all, or a folder for one picture each '
        '(default: fed_images.png)',
    )
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        metavar='N',
        help='of the order and the augmentations (default: 0)',
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, feed, draw."""
    parser = describe()
    args = parse(parser, argv)
    if args.num < 1:
        parser.error(f'--num: {args.num}, expected 1 or more')
    into_folder = not args.out.suffix or args.out.is_dir()
    if not into_folder and args.out.suffix.lower() != '.png':
        parser.error(f'--out: {args.out} must end in .png or be a folder')
    if args.seed < 0:
        parser.error(f'--seed: {args.seed}, expected 0 or more')
    cfg = load_config(parser, args)
    check_images()  # as in training
    try:
        fed = FedImages(cfg, args.split, args.seed)
        images = list(islice(fed, args.num))
    except ValueError as error:
        parser.error(str(error))
    print('\n'.join(fed.notes))
    heading = [f'{Path(args.config).name}, {args.split}', *fed.notes]
    if not into_folder:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        figure = contact_sheet(images, fed.classes, heading)
        figure.savefig(args.out)
    else:
        args.out.mkdir(parents=True, exist_ok=True)
        pictures = single_pictures(images, fed.classes, heading)
        for number, (image, figure) in enumerate(
            zip(images, pictures, strict=True), start=1
        ):
            name = f'{number:03d}_{Path(image.name).stem}.png'
            figure.savefig(args.out / name)
    refused = [image.instead_of for image in images if image.instead_of]
    if refused:
        print(
            f'refused by the pipeline, replaced by another: {len(refused)} '
            f'({", ".join(refused[:5])})'
        )
    fewer = '' if len(images) == args.num else ' (there are no more)'
    print(f'{len(images)} images{fewer}: {args.out}')
