"""Random deformable convolutions, and their value sample by sample."""

import itertools
import math

import torch
from mmcv.ops import deform_conv2d, modulated_deform_conv2d

# kernel, stride, padding, dilation, groups, deform groups
GEOMETRIES = [
    ((3, 3), (1, 1), (1, 1), (1, 1), 1, 1),
    ((3, 2), (2, 1), (1, 0), (1, 2), 1, 2),
    ((2, 3), (1, 2), (0, 2), (2, 1), 2, 1),
    ((1, 3), (2, 3), (2, 1), (1, 1), 4, 2),
    ((3, 1), (1, 1), (2, 1), (2, 3), 2, 4),
]
V1, V2 = 'deform_conv2d', 'modulated_deform_conv2d'


def random_case(geometry, seed=0, batch=2, size=(5, 6)):
    """Operands by mmcv's names, 4 channels to 4; offsets reach outside."""
    kernel, stride, padding, dilation, groups, deform_groups = geometry
    out = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(
            size, kernel, stride, padding, dilation, strict=True
        )
    ]
    g = torch.Generator().manual_seed(seed)
    taps = deform_groups * kernel[0] * kernel[1]
    shapes = {
        'input': (batch, 4, *size),
        'offset': (batch, 2 * taps, *out),
        'mask': (batch, taps, *out),
        'weight': (4, 4 // groups, *kernel),
        'bias': (4,),
    }
    case = {
        name: torch.randn(shape, generator=g).double()
        for name, shape in shapes.items()
    }
    case['offset'] *= 1.5
    return case


def run(op, case, geometry):
    kernel, *rest = geometry
    if op == V1:
        names, function = ('input', 'offset', 'weight'), deform_conv2d
    else:
        names = ('input', 'offset', 'mask', 'weight', 'bias')
        function = modulated_deform_conv2d
    operands = [case[name].clone().requires_grad_() for name in names]
    return function(*operands, *rest), dict(zip(names, operands, strict=True))


def sample(plane, y, x):
    """Bilinear value of a list of rows, which zeros surround."""
    height, width = len(plane), len(plane[0])
    top, left = int(math.floor(y)), int(math.floor(x))
    return sum(
        (1 - abs(y - row)) * (1 - abs(x - column)) * plane[row][column]
        for row in (top, top + 1)
        for column in (left, left + 1)
        if 0 <= row < height and 0 <= column < width
    )


def loop(case, geometry, modulated):
    kernel, stride, padding, dilation, groups, deform_groups = geometry
    taps = kernel[0] * kernel[1]
    offset, weight = case['offset'].tolist(), case['weight'].tolist()
    mask, maps = case['mask'].tolist(), case['input'].tolist()
    channels, outputs = len(maps[0]), len(weight)
    size = case['offset'].shape[2:]
    out = torch.zeros(len(maps), outputs, *size).double()
    for b, o, y, x in itertools.product(
        range(len(maps)), range(outputs), range(size[0]), range(size[1])
    ):
        total = case['bias'][o].item() if modulated else 0.0
        for c, i, j in itertools.product(
            range(channels // groups), range(kernel[0]), range(kernel[1])
        ):
            channel = o // (outputs // groups) * (channels // groups) + c
            group = channel // (channels // deform_groups)
            tap = group * taps + i * kernel[1] + j
            value = sample(
                maps[b][channel],
                y * stride[0]
                - padding[0]
                + i * dilation[0]
                + offset[b][2 * tap][y][x],
                x * stride[1]
                - padding[1]
                + j * dilation[1]
                + offset[b][2 * tap + 1][y][x],
            )
            if modulated:
                value *= mask[b][tap][y][x]
            total += weight[o][c][i][j] * value
        out[b, o, y, x] = total
    return out
