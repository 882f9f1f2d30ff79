"""Maps, regions in and around them, and a sample of a map by hand."""

import torch


def random_case(seed, dtype=torch.float64):
    """A map (2, 3, 9, 11) and regions, in pixels of twice its size."""
    g = torch.Generator().manual_seed(seed)
    features = torch.randn(2, 3, 9, 11, generator=g).to(dtype)
    corner = torch.rand(5, 2, generator=g) * 14 - 2
    size = torch.rand(5, 2, generator=g) * 12
    image = torch.randint(0, 2, (5, 1), generator=g).float()
    inside = torch.cat([image, corner, corner + size], 1)
    special = torch.tensor(
        [
            [0.0, -40, -30, 60, 50],  # beyond the map on every side
            [1.0, 50, 50, 70, 60],  # outside
            [1.0, 6, 5, 6, 9],  # no width
            [0.0, 21, 17, 24, 20],  # across the last pixel
        ]
    )
    return features, torch.cat([inside, special]).to(dtype)


def sample(plane, y, x):
    """Bilinear value of a list of rows at y, x, as lists of weights."""
    height, width = len(plane), len(plane[0])
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y = min(max(y, 0.0), height - 1)
    x = min(max(x, 0.0), width - 1)
    top, left = int(y), int(x)
    down, right = min(top + 1, height - 1), min(left + 1, width - 1)
    v, h = y - top, x - left
    return (
        (1 - v) * (1 - h) * plane[top][left]
        + (1 - v) * h * plane[top][right]
        + v * (1 - h) * plane[down][left]
        + v * h * plane[down][right]
    )
