"""Silence for a while the log that mmengine and mmdet write."""

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.logging import MMLogger


@contextmanager
def quiet_log(level: str = 'WARNING') -> Iterator[None]:
    """Log only what is at least as serious as a level.

    Args:
        level: the name of the level.
    """
    logger = MMLogger.get_current_instance()
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
