"""Battles: which backbone, single or composite, for some data and budget."""
