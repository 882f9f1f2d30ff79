"""Composite twins of plain mmdet configs."""

from .compose import TwinOptions, assisted_part, compose, default_name

__all__ = ['TwinOptions', 'assisted_part', 'compose', 'default_name']
