"""Show the images that a config feeds to its model, after augmentation.

The config's data set with its wrappers, its sampler and the model's data
preprocessor make the batches as in training; only the normalisation is
undone. A dashed line separates an image from its padding. Ignored objects
(crowds) are grey.
"""

from argparse import ArgumentParser
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from ..analysis.contact_sheet import contact_sheet, single_images
from ..analysis.fed_images import FedImages
from ..datasets.checked_images import use_checked_loader
from ..messages import listed
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
        help='the dataloader of the config (default: train)',
    )
    parser.add_argument(
        '--num',
        type=int,
        default=16,
        metavar='N',
        help='the number of images to show (default: 16)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('fed_images.png'),
        metavar='FILE.png|DIR',
        help='one figure of all images, or a folder for one figure each '
        '(default: fed_images.png)',
    )
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        metavar='N',
        help='the seed of the order and the augmentations (default: 0)',
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, make the images and draw them."""
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
    use_checked_loader()  # as in training
    try:
        fed = FedImages(cfg, args.split, args.seed)
        images = list(islice(fed, args.num))
    except ValueError as error:
        parser.error(str(error))
    print('\n'.join(fed.notes))
    heading = [f'{Path(args.config).name}, {args.split}', *fed.notes]
    if not into_folder:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(images, fed.classes, heading).savefig(args.out)
    else:
        args.out.mkdir(parents=True, exist_ok=True)
        figures = single_images(images, fed.classes, heading)
        for number, figure in enumerate(figures, start=1):
            stem = Path(images[number - 1].name).stem
            figure.savefig(args.out / f'{number:03d}_{stem}.png')
    refused = [image.instead_of for image in images if image.instead_of]
    if refused:
        print(
            f'refused by the pipeline, replaced by another: {len(refused)} '
            f'({listed(refused)})'
        )
    fewer = '' if len(images) == args.num else ' (there are no more)'
    print(f'{len(images)} images{fewer}: {args.out}')
