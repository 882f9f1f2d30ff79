"""No wrong weight passes silently; no wrong config passes a verification.

1. of 216 files of three detectors with one tensor permuted, scaled, zeroed,
   dropped, swapped between members or of another data type, loading refuses
   or reports every one, and verifying refuses every one by the tensor's name;
2. an unchanged file is verified in one line, which tells how far the outputs
   are and what was not compared;
3. configs that load the same weights and compute something else are refused:
   another epsilon, mean, order of colours, strides, sampling of regions; and
   so is other code, a broken number, a missing output;
4. a file without a fingerprint is one sentence;
5. the hook verifies the file that a run loads, and refuses a run without one.
"""

import copy
import functools
import random
from collections import Counter
from dataclasses import replace

import pytest
import torch
from mmengine.config import Config

from cbnet.checkpoints import fingerprint
from cbnet.checkpoints.fingerprint import read_fingerprint
from cbnet.engine import verification
from cbnet.engine.probe import TOLERANCE, record_outputs
from cbnet.engine.verification import (
    VerificationError,
    record_detector,
    verify_outputs,
    verify_weights,
)
from cbnet.testing import build_model

from .mutated_files import (
    DETECTORS,
    KINDS,
    at_load,
    detector_config,
    mutated_files,
    seeded,
    when_verified,
    written_file,
)
from .small_run import SmallModel, small_run


@pytest.fixture
def logged(monkeypatch):
    lines = []
    monkeypatch.setattr(
        verification, 'print_log', lambda line, *_: lines.append(line)
    )
    return lines


def test_every_mutated_file_is_noticed(monkeypatch):
    # A mutated file shares all other tensors with the original.
    digest = functools.cache(fingerprint.digest)
    monkeypatch.setattr(fingerprint, 'digest', digest)
    found = {}
    for base, options in DETECTORS.items():
        model = seeded(build_model(detector_config(base, **options)))
        file = written_file(model)
        for kind, name, mutated in mutated_files(file, 12, random.Random(0)):
            row = found.setdefault(kind, Counter())
            alone, load = at_load(mutated, model, name)
            row['alone', alone] += 1
            row['load', load] += 1
            row['verify', when_verified(mutated, name)] += 1
    assert found.keys() == KINDS.keys()
    for kind, row in found.items():
        assert row['verify', 'refused'] == 36, kind
        assert row['load', 'refused'] + row['load', 'reported'] == 36, kind
        # Without a fingerprint, only names, shapes and types can tell.
        seen = kind in ('dropped', 'of another data type')
        assert row['alone', 'silent'] == (0 if seen else 36), kind


@pytest.fixture(scope='module')
def trained():
    """A tiny Mask R-CNN: its config, its model and its file."""
    cfg = detector_config('MaskRCNN', 'resnet_bottleneck', shared_stages=1)
    model = seeded(build_model(cfg))
    return cfg, model, written_file(model, record_outputs(model))


def test_what_was_written_is_verified(trained, logged):
    cfg, model, file = trained
    made = verify_weights(file, 'a.pth')
    verify_outputs(model, made, 'a.pth')
    (line,) = logged
    assert line == (
        f'verified a.pth: {len(file["state_dict"])} weights and 26 outputs '
        f'(they differ by at most 0, allowed are {TOLERANCE:g})'
    )
    made = replace(made, outputs=made.outputs | {'head': 'it has no time'})
    verify_outputs(model, made, 'a.pth')
    assert logged[1].endswith('; not compared: head, it has no time')


def test_without_outputs(trained, logged):
    _, model, _ = trained
    made = verify_weights(written_file(model), 'a.pth')
    verify_outputs(None, made, 'a.pth')
    assert logged[0].endswith('but no outputs, because none are recorded')


def test_the_detector_of_a_config(trained):
    cfg, _, file = trained
    recorded = record_detector(Config(dict(model=cfg)), file['state_dict'])
    assert recorded == read_fingerprint(file, 'a.pth').outputs


def test_weights_that_the_file_lacks(trained):
    """Outputs that depend on their random values are not recorded."""
    cfg, _, file = trained
    cfg = Config(dict(model=cfg))
    weights = {
        name: weight
        for name, weight in file['state_dict'].items()
        if not name.startswith(('backbone.connections.', 'neck.'))
    }
    recorded = record_detector(cfg, weights)
    assert isinstance(recorded['member.1.3'], list)  # connections add zero
    lacks = 'it depends on weights that the file lacks'
    assert recorded['neck.0'] == recorded['roi_head.2'] == lacks


CONFIGS = {
    'epsilon': (
        lambda cfg: cfg['backbone']['member'].update(
            norm_cfg=dict(type='BN', eps=1e-4)
        ),
        'member.',
    ),
    'mean': (
        lambda cfg: cfg['data_preprocessor'].update(
            mean=[124.7, 116.3, 103.5]
        ),
        'member.0.0',
    ),
    'std': (
        lambda cfg: cfg['data_preprocessor'].update(std=[58.4, 57.1, 60.0]),
        'member.0.0',
    ),
    'colours': (
        lambda cfg: cfg['data_preprocessor'].update(bgr_to_rgb=False),
        'member.0.0',
    ),
    'strides': (
        lambda cfg: cfg['backbone']['member'].update(style='pytorch'),
        'member.0.1',
    ),
    'upsampling': (
        lambda cfg: cfg['neck'].update(upsample_cfg=dict(mode='bilinear')),
        'neck.0',
    ),
    'sampling': (
        lambda cfg: cfg['roi_head']['bbox_roi_extractor']['roi_layer'].update(
            sampling_ratio=1
        ),
        'roi_head.0',
    ),
    'levels of masks': (
        lambda cfg: cfg['roi_head']['mask_roi_extractor'].update(
            finest_scale=14
        ),
        'roi_head.2',
    ),
}


@pytest.mark.parametrize('change', CONFIGS)
def test_other_configs_are_refused(change, trained):
    cfg, _, file = trained
    cfg = copy.deepcopy(cfg)
    alter, first = CONFIGS[change]
    alter(cfg)
    model = build_model(cfg)
    model.load_state_dict(file['state_dict'])  # nothing is missing
    made = verify_weights(file, 'a.pth')
    with pytest.raises(VerificationError) as raised:
        verify_outputs(model, made, 'a.pth')
    message = str(raised.value)
    assert 'its weights are as they were written, but ' in message
    assert f'more than {TOLERANCE:g} ({first}' in message


def test_other_code_is_refused(trained):
    """Such as code that leaves out one edge of a style."""
    _, model, file = trained
    other = copy.deepcopy(model)
    other.backbone.connections[0].sources[1].pop()
    made = verify_weights(file, 'a.pth')
    with pytest.raises(VerificationError, match=r'\(member.1.1 by'):
        verify_outputs(other, made, 'a.pth')


def test_a_broken_number_is_refused(trained):
    _, model, file = trained
    made = verify_weights(file, 'a.pth')
    other = copy.deepcopy(model)
    other.neck.fpn_convs[0].conv.bias.data[0] = float('nan')
    with pytest.raises(VerificationError, match=r'\(neck.0 by inf, rpn_head'):
        verify_outputs(other, made, 'a.pth')


def test_a_head_that_fails_is_refused(trained):
    _, model, file = trained
    made = verify_weights(file, 'a.pth')
    other = copy.deepcopy(model)
    other.roi_head.forward = lambda *_: {}['no such operator']
    reason = 'roi_head: it cannot .* image alone: no such operator$'
    with pytest.raises(VerificationError, match=rf'\(roi_head.0.*{reason}'):
        verify_outputs(other, made, 'a.pth')


def test_an_output_that_is_gone_is_refused(trained):
    _, model, file = trained
    made = verify_weights(file, 'a.pth')
    more = {'neck.9': made.outputs['neck.0']}
    made = replace(made, outputs=made.outputs | more)
    with pytest.raises(VerificationError, match=r'\(neck.9 by inf\)'):
        verify_outputs(model, made, 'a.pth')


@pytest.mark.parametrize('meta', [{}, dict(meta={}), dict(meta=None)])
def test_without_a_fingerprint(meta):
    with pytest.raises(VerificationError) as raised:
        verify_weights(dict(meta, state_dict={'a': torch.ones(1)}), 'a.pth')
    assert str(raised.value) == (
        'a.pth has no fingerprint, so there is nothing to verify it with; '
        '`cbnet publish` writes files that have one'
    )


def test_the_hook(tmp_path, logged):
    def train(**settings):
        hooks = [dict(type='VerificationHook')]
        small_run(tmp_path, steps=1, custom_hooks=hooks, **settings).train()

    with pytest.raises(ValueError, match='set load_from'):
        train()
    file = written_file(SmallModel())
    path = tmp_path / 'a.pth'
    torch.save(file, path)
    train(load_from=str(path))
    assert logged[0].startswith(f'verified {path}: 8 weights, but no outputs')
    file['state_dict']['layer.bias'] += 1
    torch.save(file, path)
    with pytest.raises(VerificationError, match=r'1 changed \(layer.bias\)'):
        train(load_from=str(path))
    file['meta'] = {}
    torch.save(file, path)
    with pytest.raises(VerificationError, match='has no fingerprint'):
        train(load_from=str(path))
