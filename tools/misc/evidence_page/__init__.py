"""The writer of the evidence page.

It is no part of the package: ``tools/misc/evidence.py`` runs it in a clone.
"""
