"""Other configs into ours: plain mmdet 3.x ones, published CBNetV2 ones."""

from .compose import TwinOptions, compose, default_name
from .old_config import migrate_config

__all__ = ['TwinOptions', 'compose', 'default_name', 'migrate_config']
