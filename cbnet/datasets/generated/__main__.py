"""Generate an instance-segmentation data set of shapes in COCO format."""

import argparse
from collections.abc import Sequence

from .shapes import CLASSES, generate_shapes


def main(args: Sequence[str] | None = None) -> None:
    """Generate the data set from command-line arguments."""
    parser = argparse.ArgumentParser(
        prog='python -m cbnet.datasets.generated',
        description=f'{__doc__} The same arguments give the same data.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        '--out',
        required=True,
        dest='root',
        metavar='FOLDER',
        help='the folder to write; new, empty, or already complete',
        default=argparse.SUPPRESS,
    )
    for option, default, text in (
        ('--num-train', 320, 'the number of training images'),
        ('--num-val', 80, 'the number of validation images'),
        ('--seed', 0, 'the seed of the whole data set'),
    ):
        parser.add_argument(option, type=int, default=default, help=text)
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=(320, 256),
        metavar=('WIDTH', 'HEIGHT'),
        help='the size of the images in pixels',
    )
    parser.add_argument(
        '--classes',
        nargs='+',
        default=CLASSES,
        metavar='NAME',
        help='the classes that are drawn',
    )
    parser.add_argument(
        '--processes',
        type=int,
        default=1,
        metavar='N',
        help='how many processes draw; the images are the same',
    )
    try:
        generate_shapes(**vars(parser.parse_args(args)))
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == '__main__':
    main()
