"""Examine an installation: ``cbnet doctor``."""
