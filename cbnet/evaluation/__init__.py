"""Figures for results files."""
