"""Random boxes, and their overlap computed pair by pair."""

import torch


def random_boxes(count, seed, spread=60.0):
    """Return (count, 4) overlapping xyxy boxes and (count,) scores."""
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=g) * spread
    size = torch.rand(count, 2, generator=g) * 30 + 2
    return torch.cat([corner, corner + size], 1), torch.rand(
        count, generator=g
    )


def iou(a, b, offset):
    """Return the IoU of two boxes given as lists of numbers."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + offset
    height = min(a[3], b[3]) - max(a[1], b[1]) + offset
    inter = max(width, 0.0) * max(height, 0.0)
    areas = [
        (box[2] - box[0] + offset) * (box[3] - box[1] + offset)
        for box in (a, b)
    ]
    union = sum(areas) - inter
    return inter / union if union else 0.0
