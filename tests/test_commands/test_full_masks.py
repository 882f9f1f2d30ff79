"""Masks encoded where they are pasted are those of ``--full-masks``.

Of test (the file of ``--out`` and all figures, with and without views, also
in batches) and of infer (results and pictures), to the last bit.
"""

import pickle
import re

import numpy as np
import pytest
import torch

from cbnet.engine import run_length_masks
from cbnet.evaluation.dump import DumpRunLengths

SAID = 'masks are encoded where they are pasted'


def same(one, other):
    """Compare what a pickle or JSON file holds."""
    if isinstance(one, dict):
        return {*one} == {*other} and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    return type(one) is type(other) and np.array_equal(one, other)


@pytest.fixture
def sizes(monkeypatch):
    """The numbers of images that metrics have been given at a time."""
    process, seen = DumpRunLengths.process, []

    def count(self, batch, samples):
        seen.append(len(samples))
        process(self, batch, samples)

    monkeypatch.setattr(DumpRunLengths, 'process', count)
    monkeypatch.setattr(
        run_length_masks, '_TAKERS', (*run_length_masks._TAKERS, count)
    )
    return seen


CASES = [[], ['--tta'], ['--batch-size', '2']]


@pytest.mark.parametrize('options', CASES, ids=str)
def test_testing(tiny_config, weights, run_command, tmp_path, options, sizes):
    found = []
    for full in ([], ['--full-masks']):
        out = tmp_path / f'{len(full)}.pkl'
        status, said = run_command(
            'test', tiny_config, weights, '--out', out, *full,
            *options,
        )  # fmt: skip
        assert status == 0 and (SAID in said) == (not full), said
        figures = re.findall(r'coco/(\w+): ([-\d.]+)', said)
        with open(out, 'rb') as file:
            found.append((figures, pickle.load(file)))  # noqa: S301
    assert len(found[0][0]) == 12
    assert same(*found)
    masks = [one['pred_instances']['masks'] for one in found[0][1]]
    assert sum(map(len, masks)) > 3
    assert sizes == ([2] if '--batch-size' in options else [1, 1]) * 2


def test_drawing_needs_masks(tiny_config, weights, run_command):
    status, said = run_command(
        'test', tiny_config, weights, '--show-dir', 'pictures'
    )
    assert status == 0 and SAID not in said, said


def test_infer(infer, photos, monkeypatch):
    heads, used = run_length_masks.hand_over, []
    monkeypatch.setattr(
        run_length_masks,
        'hand_over',
        lambda head, use: used.append(head) or heads(head, use),
    )
    files = []
    for full in ([], ['--full-masks']):
        out = infer.folder / str(len(full))
        options = ['--score-thr', '0', '--out-dir', out]
        status, said = infer(photos, *options, *full)
        assert status == 0 and bool(used) == (not full), said
        used.clear()
        paths = [path for path in sorted(out.rglob('*')) if path.is_file()]
        files.append({path.name: path.read_bytes() for path in paths})
    assert len(files[0]) == 4 and files[0] == files[1]
    assert b'segmentation' in files[0]['results.json']
