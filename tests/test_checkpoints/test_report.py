"""The account of a load: every tensor has its place, and the line says so.

1. for any names, shapes and data types of a file and a model, each tensor of
   either is in exactly one class, and the classes mean what they say;
2. the line counts every class; a conversion of data types is a warning.
"""

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cbnet.checkpoints import report as module
from cbnet.checkpoints.fit import NEEDLESS
from cbnet.checkpoints.report import account

from .partitions import assert_partition

NAMES = st.sampled_from(
    ['a.w', 'b.w', 'bn.running_mean', 'bn.num_batches_tracked', 'head.w']
    + ['stages.0.relative_position_index', 'module', 'x.total_ops']
)
TENSORS = st.builds(
    lambda shape, dtype: torch.zeros(shape, dtype=dtype),
    st.sampled_from([(), (1,), (2, 3), (3, 2)]),
    st.sampled_from([torch.float32, torch.float16, torch.int64]),
)
STATES = st.dictionaries(NAMES, TENSORS)


@given(STATES, STATES)
@settings(max_examples=200, deadline=None)
def test_every_tensor_has_one_place(file, own):
    report = account(file, own, 'a.pth')
    assert_partition(report, file, own)
    for name in report.loaded:
        assert file[name].shape == own[name].shape
        assert (name in report.cast) == (file[name].dtype != own[name].dtype)
    for name in report.unfit:
        assert file[name].shape != own[name].shape
    assert not set(report.ignored) & set(own)
    assert not {*report.new, *report.kept} & set(file)
    assert all(map(NEEDLESS.search, report.kept))


def test_the_line(monkeypatch):
    file = {'a': torch.zeros(2), 'b': torch.zeros(2), 'c': torch.zeros(1)}
    own = {
        'a': torch.zeros(2),
        'b': torch.zeros(3),
        'd': torch.zeros(1),
        'n.num_batches_tracked': torch.tensor(0),
    }
    line = (
        'loaded 1 entries of a.pth; renamed 0; resized 0; shared 0; '
        'new 1 (d); ignored 1 (c); not loaded, of another shape 1 '
        '(b (2,) instead of (3,)); {}'
        "the model's own 1"
    )
    logged = []
    monkeypatch.setattr(module, 'print_log', lambda *a: logged.append(a))
    account(file, own, 'a.pth').log('here: ')
    file['a'] = file['a'].half()
    account(file, own, 'a.pth').log()
    cast = 'converted to another data type 1 (a float16 to float32); '
    assert logged == [
        ('here: ' + line.format(''), 'current', logging.INFO),
        (line.format(cast), 'current', logging.WARNING),
    ]


def test_many_names_are_short():
    own = {f'layers.{i}.w': torch.zeros(1) for i in range(500)}
    file = {n: w.half() for n, w in own.items()}
    assert len(str(account(file, own, 'a.pth'))) < 400


@pytest.mark.parametrize('name', ['bn.running_mean', 'index', 'tracked'])
def test_what_a_model_needs_is_new(name):
    assert account({}, {name: torch.zeros(1)}, 'a.pth').new == (name,)
