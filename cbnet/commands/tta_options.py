"""The options of test-time augmentation, for testing and inference."""

import re
from argparse import ArgumentParser, ArgumentTypeError


def add_tta_options(parser: ArgumentParser) -> None:
    """Add ``--tta`` and ``--tta-scales``; either asks for ``add_tta``."""
    parser.add_argument(
        '--tta',
        action='store_true',
        help='merge the detections in several views of each image '
        '(test-time augmentation): the views of tta_pipeline in the config, '
        'or else the test scale, plain and flipped',
    )
    parser.add_argument(
        '--tta-scales',
        nargs='+',
        type=_scale,
        metavar='W,H',
        help='test-time augmentation with these scales, each plain and '
        'flipped',
    )


def _scale(text: str) -> tuple[int, int]:
    match = re.fullmatch(r'([1-9]\d*),([1-9]\d*)', text)
    if not match:
        raise ArgumentTypeError(
            f'{text!r} is not a scale; give width,height in pixels, such as '
            f'1600,1400'
        )
    return int(match[1]), int(match[2])
