"""Comparisons of detectors by training runs that can be interrupted."""
