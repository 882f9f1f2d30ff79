"""Entries and settings that run in a moment."""

import pytest

from cbnet.battle.configs import Settings


@pytest.fixture
def tiny():
    """Settings of the smallest detector, for images of 96 x 64 pixels."""
    return Settings('plain', 'mask-rcnn-small', (96, 64), workers=0)
