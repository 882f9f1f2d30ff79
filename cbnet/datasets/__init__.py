"""Data sets: COCO annotations, own data, and the generated example."""
