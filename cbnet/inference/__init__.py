"""Inference: a trained detector on images, videos and COCO results."""
