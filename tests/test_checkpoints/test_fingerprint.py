"""Fingerprints tell which weights of a file are not as they were written.

- a digest depends on numbers, shape and data type, not on strides;
- every written file has a fingerprint, which survives safe loading, and
  replaces an earlier one;
- a change names the weight, and the weight whose numbers it has now; classes
  count; a file without a fingerprint is none, a damaged one is refused;
- reading a changed file is a warning.
"""

import logging

import pytest
import torch

from cbnet.checkpoints import weight_files
from cbnet.checkpoints.fingerprint import (
    KEY,
    changes,
    digest,
    read_fingerprint,
    with_fingerprint,
)
from cbnet.checkpoints.weight_files import read_file, write_weights

WEIGHTS = {
    'a.weight': torch.arange(6.0).reshape(2, 3),
    'b.weight': torch.arange(6.0, 12.0).reshape(2, 3),
    'half': torch.ones(3).half(),
    'brain': torch.ones(3).bfloat16(),
    'flags': torch.tensor([True, False]),
    'none': torch.zeros(0, 4),
    'count': torch.tensor(7),
}
META = dict(dataset_meta=dict(classes=('cat', 'dog')))


def changed(weights=(), meta=META, **options):
    """Describe the changes of a file in which some weights are others."""
    made = read_fingerprint(dict(meta=with_fingerprint(META, WEIGHTS)), 'a')
    return changes({**WEIGHTS, **dict(weights)}, meta, made)


def test_digests():
    assert len({digest(weight) for weight in WEIGHTS.values()}) == 7
    one = WEIGHTS['a.weight']
    strided = one.t().contiguous().t()
    assert strided.stride() != one.stride()
    assert digest(strided) == digest(one)
    for other in (
        one.reshape(3, 2),
        one.double(),
        one.int(),
        one.flip(0),
        one.nextafter(one + 1),
        one.t(),
    ):
        assert digest(other) != digest(one)
    # the same bytes
    assert digest(torch.zeros(2)) != digest(torch.zeros(2).int())
    assert digest(torch.zeros(2)) != digest(torch.zeros(1, 2))


def test_every_file_has_one(tmp_path):
    path = tmp_path / 'a.pth'
    write_weights(path, WEIGHTS, META, dict(head=[1.0, 2.0], neck='a reason'))
    file = read_file(path)
    made = read_fingerprint(file, 'a.pth')
    assert made.outputs == dict(head=[1.0, 2.0], neck='a reason')
    assert list(made.weights) == list(WEIGHTS)
    assert changes(file['state_dict'], file['meta'], made) == ''
    other = {name: weight + 1 for name, weight in WEIGHTS.items()
             if weight.dtype != torch.bool}  # fmt: skip
    write_weights(path, other, file['meta'])
    file = read_file(path)
    made = read_fingerprint(file, 'a.pth')
    assert changes(other, file['meta'], made) == '' and not made.outputs


def test_what_changed():
    assert changed() == ''
    assert changed({'count': torch.tensor(8)}) == '1 changed (count)'
    assert changed({'x': torch.zeros(1)}) == '1 added (x)'
    swapped = {'a.weight': WEIGHTS['b.weight'], 'half': torch.zeros(3)}
    assert changed(swapped) == (
        '2 changed (a.weight, now that of b.weight, half)'
    )
    made = read_fingerprint(dict(meta=with_fingerprint(META, WEIGHTS)), 'a')
    assert changes({}, META, made) == (
        '7 missing (a.weight, b.weight, half, and 4 more)'
    )
    classes = dict(dataset_meta=dict(classes=('dog', 'cat')))
    assert changed(meta=classes) == 'other names of classes'
    assert changed(meta=None) == 'other names of classes'


@pytest.mark.parametrize('file', [None, [], {}, dict(meta=1), dict(meta={})])
def test_no_fingerprint(file):
    assert read_fingerprint(file, 'a.pth') is None


@pytest.mark.parametrize(
    'change',
    [
        lambda made: 3,
        lambda made: {},
        lambda made: {**made, 'more': 1},
        lambda made: {**made, 'weights': ['a']},
        lambda made: {**made, 'weights': {'a': 1}},
        lambda made: {**made, 'classes': 1},
        lambda made: {**made, 'outputs': {'a': 1}},
        lambda made: {**made, 'outputs': {'a': ['x']}},
        lambda made: {**made, 'outputs': {'a': [torch.zeros(1)]}},
        lambda made: {**made, 'outputs': {'a': []}},
        lambda made: {**made, 'outputs': {'a': [10**400]}},
        lambda made: {**made, 'format': 'x'},
    ],
)
def test_damaged_ones(change):
    meta = with_fingerprint(META, WEIGHTS)
    meta[KEY] = change(meta[KEY])
    with pytest.raises(ValueError, match='fingerprint of a.pth is damaged'):
        read_fingerprint(dict(meta=meta), 'a.pth')


def test_a_newer_format():
    meta = {KEY: dict(format=2, something='else')}
    with pytest.raises(ValueError, match='a newer cbnet'):
        read_fingerprint(dict(meta=meta), 'a.pth')


def test_reading_a_changed_file_is_a_warning(tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(weight_files, 'print_log', lambda *a: logged.append(a))
    path = tmp_path / 'a.pth'
    write_weights(path, WEIGHTS, META)
    file = read_file(path)
    assert not logged
    file['state_dict']['count'] += 1
    torch.save(file, path)
    read_file(path)
    ((line, _, level),) = logged
    assert level == logging.WARNING
    assert line.startswith(
        f'{path} is not as it was written: 1 changed (count)'
    )
