"""Examine an installation: ``python -m cbnet.doctor``.

Where ``import cbnet`` fails, ``CBNET_START=no python -m cbnet.doctor`` imports
the package without starting it.
"""
