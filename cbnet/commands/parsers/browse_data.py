r"""Show the images that a config feeds to its model, after augmentation.

The config's data set with its wrappers, its sampler and the model's data
preprocessor make the batches as in training; only the normalisation is
undone. A dashed line separates an image from its padding. Ignored objects
(crowds) are grey.

Examples:
  cbnet browse-data configs/cbnet/quickstart.py
  cbnet browse-data my_config.py --num 8 --seed 3 \
      --out fed.png --cfg-options train_dataloader.batch_size=4
  cbnet browse-data my_config.py --split val \
      --out fed
"""

from pathlib import Path

from ..argument_types import at_least, new_file, new_folder
from ..command_parser import CommandParser
from ..options import config_parser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = config_parser(__name__, __doc__)
    parser.option(
        '--split',
        'the dataloader of the config',
        choices=('train', 'val'),
        default='train',
    )
    parser.option(
        '--num N', 'the number of images to show', at_least(1), default=16
    )
    parser.option(
        '--out FILE.png|DIR',
        'one figure of all images, or a folder for one figure each',
        figure_or_folder,
        default=Path('fed_images.png'),
    )
    parser.option(
        '--seed N',
        'the seed of the order and the augmentations',
        at_least(0, 2**32 - 1),  # numpy takes no more
        default=0,
    )
    return parser


def figure_or_folder(text: str) -> Path:
    """Read the path of a figure or, without an ending, of a folder."""
    if not Path(text).suffix or Path(text).is_dir():
        return new_folder(text)
    return new_file('.png')(text)
