"""Upgraded detectors.

1. Detectors of six kinds with an assistant, a ViT or a pyramid network, and
   style compute what they computed before, to the last bit; only connections
   and what was trained before get gradients; a step moves the connections,
   and then the outputs; without the assistant, the file is the one before.
"""

import itertools

import pytest
import torch

from cbnet.checkpoints.weight_files import read_file
from cbnet.engine.verification import build_detector
from cbnet.testing import make_batch
from cbnet.twins.assistants import find_assistant
from cbnet.twins.proof import compare_detectors, proof_images
from cbnet.twins.upgrade import (
    UpgradeOptions,
    check_checkpoint,
    read_detector,
    start_weights,
    without_assistants,
    write_config,
)

from .trained_detectors import KINDS, write_trained


@pytest.fixture(scope='module')
def weights_of(tmp_path_factory):
    """Write a file with the weights of a timm model, once for each."""
    import timm

    folder = tmp_path_factory.mktemp('pretrained')

    def write(name):
        path = folder / f'{name}.pth'
        if not path.exists():
            torch.save(timm.create_model(name).state_dict(), path)
        return str(path)

    return write


ASSISTANTS = itertools.cycle(['test_vit', 'test_convnext'])


@pytest.mark.parametrize(
    ('kind', 'name'), [*zip(KINDS, ASSISTANTS, strict=False)]
)
def test_nothing_is_lost(kind, name, tmp_path, weights_of):
    train = kind == 'MaskRCNN'  # the others' assistants are frozen
    scale = 0.5 if kind == 'RetinaNet' else None
    options = UpgradeOptions(train=train, scale=scale)
    config, checkpoint = write_trained(kind, tmp_path)
    detector = read_detector(str(config))
    file = read_file(checkpoint)
    weights = check_checkpoint(str(config), detector.cfg, file, 'trained.pth')
    assistant = find_assistant(name)
    out, start = tmp_path / 'up' / 'upgraded.py', tmp_path / 'up' / 'start.pth'
    out.parent.mkdir()
    cfg, model = write_config(detector, assistant, out, start, options)
    assert len(out.read_text().splitlines()) <= 20
    found = start_weights(
        detector, weights, model, assistant, weights_of(name)
    )
    torch.save(dict(state_dict=found), start)
    images, _ = proof_images(detector.cfg, [], out.parent)
    before = (detector.cfg, checkpoint)
    apart = compare_detectors(before, (cfg, start), images)
    assert (apart.largest, apart.place) == (0.0, '')
    assert apart.outputs > 5 and apart.detections > 0

    model.train()
    batch = make_batch(size=(64, 96))
    if kind == 'RTMDet':
        for sample in batch['data_samples']:
            del sample.gt_instances.masks
    data = model.data_preprocessor(batch, True)
    model.parse_losses(model(**data, mode='loss'))[0].backward()
    plain = build_detector(detector.cfg, weights)
    trained = {n for n, p in plain.named_parameters() if p.requires_grad}
    for n, p in model.named_parameters():
        if n.startswith('backbone.members.0.'):
            assert p.requires_grad == train, n
            assert p.grad is None or train, n
        elif n.startswith('backbone.connections.'):
            assert p.requires_grad and p.grad is not None, n
        else:
            old = n.replace('members.1.', '')
            assert p.requires_grad == (old in trained), n
    moved = [
        n
        for n, p in model.named_parameters()
        if n.startswith('backbone.connections.') and p.grad.any()
    ]
    assert moved
    with torch.no_grad():
        for p in model.backbone.connections.parameters():
            p -= 0.1 * torch.ones_like(p)
        model.eval(), plain.eval()
        pairs = zip(
            model.backbone(data['inputs']),
            plain.backbone(data['inputs']),
            strict=True,
        )
    assert not any(torch.equal(a, b) for a, b in pairs)

    found = torch.load(start, weights_only=True)['state_dict']
    back = without_assistants(found, detector, cfg.model.backbone)
    assert back.keys() == weights.keys()
    assert all(torch.equal(back[n], w) for n, w in weights.items())
