"""Turn published CBNetV2 configs (mmdet 2.x) into configs of mmdet 3.x."""

from .config import migrate_config

__all__ = ['migrate_config']
