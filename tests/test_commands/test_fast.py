"""``--fast`` of test, with and without views, and infer.

The same detections but for rounding, from folded norms and channels-last
weights, also after a verification; the checkpoint stays as it is.
"""

import json
import pickle

import pytest
import torch
from mmengine.config import Config
from torch import nn

from cbnet.inference import Inferencer
from cbnet.models import folded_norms


@pytest.fixture
def folds(monkeypatch):
    """Count the norms that are folded."""
    counted = []
    fuse = folded_norms.fuse_conv_bn_eval

    def count(conv, norm):
        counted.append(norm)
        return fuse(conv, norm)

    monkeypatch.setattr(folded_norms, 'fuse_conv_bn_eval', count)
    return counted


def test_infer(infer, photos, folds):
    found = {}
    for name in ('plain', 'fast'):
        fast = ['--fast'] * (name == 'fast')
        status, said = infer(photos, '--no-images', '--out-dir', name, *fast)
        assert status == 0 and bool(folds) == bool(fast), said
        path = infer.folder / name / 'results.json'
        found[name] = json.loads(path.read_text())
    assert len(found['fast']) == len(found['plain']) > 3
    for one, other in zip(*found.values(), strict=True):
        for key in ('image_id', 'category_id'):
            assert one[key] == other[key]
        assert one['score'] == pytest.approx(other['score'], abs=1e-4)
        assert one['bbox'] == pytest.approx(other['bbox'], abs=1e-2)


@pytest.mark.parametrize('views', [False, True])
def test_testing(tiny_config, weights, run_command, folds, tmp_path, views):
    before, found = weights.read_bytes(), []
    for fast in ([], ['--fast']):
        out = tmp_path / f'{len(fast)}.pkl'
        status, said = run_command(
            'test', tiny_config, weights, '--out', out, *fast,
            *['--tta'] * views,
        )  # fmt: skip
        assert status == 0 and bool(folds) == bool(fast), said
        with open(out, 'rb') as file:
            found.append(pickle.load(file))  # noqa: S301 (written above)
    for one, other in zip(*found, strict=True):
        one, other = (part['pred_instances'] for part in (one, other))
        assert len(one['scores']) == len(other['scores']) > 3
        torch.testing.assert_close(
            one['scores'], other['scores'], rtol=0, atol=1e-4
        )
    assert weights.read_bytes() == before


def test_the_layout(tiny_config, weights):
    cfg = Config.fromfile(tiny_config)
    model = Inferencer(cfg, str(weights), 'cpu', fast=True).model
    convolutions = [
        part for part in model.modules() if isinstance(part, nn.Conv2d)
    ]
    assert all(
        part.weight.is_contiguous(memory_format=torch.channels_last)
        for part in convolutions
    )
