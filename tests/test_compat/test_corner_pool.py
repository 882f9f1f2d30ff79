"""CornerPool of mmcv.ops: torch computes it, without an operator.

Scenarios: each mode against a loop over a map; its gradient; no images;
float16 and bfloat16 under autocast.
"""

import pytest
import torch
from mmcv.ops import CornerPool

# mode -> axis of the map, and whether the maximum runs backwards
MODES = {
    'bottom': (2, False),
    'top': (2, True),
    'right': (3, False),
    'left': (3, True),
}


def loop(x, axis, backwards):
    lines = x.movedim(axis, -1).reshape(-1, x.shape[axis]).tolist()
    pooled = []
    for line in lines:
        line = line[::-1] if backwards else line
        line = [max(line[: i + 1]) for i in range(len(line))]
        pooled.append(line[::-1] if backwards else line)
    shape = x.movedim(axis, -1).shape
    return x.new_tensor(pooled).view(shape).movedim(-1, axis)


@pytest.mark.parametrize('mode', MODES)
def test_equals_loop(mode):
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    pool = CornerPool(mode)
    assert torch.equal(pool(x), loop(x, *MODES[mode]))
    assert pool(x[:0]).shape == (0, 3, 4, 5)
    leaf = x.double().requires_grad_()
    assert torch.autograd.gradcheck(pool, (leaf,))
    for dtype in (torch.float16, torch.bfloat16):
        with torch.autocast('cpu', dtype=dtype):
            narrow = pool(x.to(dtype))
        assert torch.equal(narrow, loop(x.to(dtype), *MODES[mode]))
