"""The options of test-time augmentation, for testing and inference."""

import re
from argparse import ArgumentTypeError

from .command_line import CommandParser


def add_tta_options(parser: CommandParser) -> None:
    """Add ``--tta`` and ``--tta-scales``; either asks for ``add_tta``."""
    parser.option(
        '--tta',
        'merge the detections in several views of each image '
        '(test-time augmentation): the views of tta_pipeline in the config, '
        'or else the test scale, plain and flipped',
    )
    parser.option(
        '--tta-scales W,H ...',
        'test-time augmentation with these scales, each plain and flipped',
        _scale,
    )


def _scale(text: str) -> tuple[int, int]:
    match = re.fullmatch(r'([1-9]\d*),([1-9]\d*)', text)
    if not match:
        raise ArgumentTypeError(
            f'{text!r} is not a scale; give width,height in pixels, such as '
            f'1600,1400'
        )
    return int(match[1]), int(match[2])
