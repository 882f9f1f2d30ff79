"""Show the images that a detector is fed, as ``cbnet browse-data``."""

from argparse import Namespace
from itertools import islice
from pathlib import Path

from ..analysis.contact_sheet import contact_sheet, single_images
from ..analysis.fed_images import FedImages
from ..datasets.checked_images import use_checked_loader
from ..datasets.loader_check import check_loaders
from ..messages import listed
from .command_line import load_config


def run(args: Namespace) -> None:
    """Make the images and draw them."""
    into_folder = not args.out.suffix or args.out.is_dir()
    cfg = load_config(args)
    check_loaders(cfg, args.split)
    use_checked_loader()  # as in training
    fed = FedImages(cfg, args.split, args.seed)
    images = list(islice(fed, args.num))
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
