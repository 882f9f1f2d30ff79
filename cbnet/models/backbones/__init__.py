"""The composite backbone and its connections."""

from .composite import CompositeBackbone
from .connections import STYLES, Connection

__all__ = ['STYLES', 'CompositeBackbone', 'Connection']
