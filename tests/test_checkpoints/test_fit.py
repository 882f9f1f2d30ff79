"""Do these weights fit?  The comparison and its report.

The report tells missing, surplus and differing weights apart, with the names
that the caller gives to both sides.  Data types count on request.  Weights
that fit are not mentioned, and long lists are shortened.
"""

import torch

from cbnet.checkpoints.fit import compare

MODEL = {'a.w': torch.zeros(2, 3), 'b.w': torch.zeros(1), 'n': torch.ones(())}


def test_weights_that_fit():
    found = compare(MODEL, {n: w.to('meta') for n, w in MODEL.items()})
    assert found.matching == ('a.w', 'b.w', 'n')
    assert found.differences() == ''


def test_all_differences_are_told():
    file = {'a.w': torch.zeros(3, 2), 'n': torch.ones(()), 'c': torch.ones(1)}
    found = compare(file, MODEL)
    assert found.matching == ('n',)
    assert found.missing == ('b.w',) and found.surplus == ('c',)
    assert found.differences('net.pth', 'the member') == (
        'the member lacks 1 (c); net.pth lacks 1 (b.w); '
        '1 differs in shape (a.w (3, 2) instead of (2, 3))'
    )


def test_types_count_only_on_request():
    half = {name: weight.half() for name, weight in MODEL.items()}
    assert compare(half, MODEL).differences() == ''
    assert compare(half, MODEL, types=True).differences() == (
        '3 differ in shape or type (a.w (2, 3) float16 instead of (2, 3) '
        'float32, b.w (1,) float16 instead of (1,) float32, '
        'n () float16 instead of () float32)'
    )


def test_long_lists_are_short():
    many = {f'layers.{i}.w': torch.zeros(i + 1) for i in range(50)}
    assert compare({}, many).differences() == (
        'the file lacks 50 (layers.*.w x50)'
    )
    other = {name: torch.zeros(60) for name in many}
    assert compare(other, many).differences().endswith(', and 47 more)')
