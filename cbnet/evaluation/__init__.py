"""COCO's figures for results files."""
