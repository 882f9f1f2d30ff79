"""Composite twins of plain mmdet configs."""

from .compose import TwinOptions, compose, default_name

__all__ = ['TwinOptions', 'compose', 'default_name']
