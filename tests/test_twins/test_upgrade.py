"""Upgraded detectors.

1. Detectors of six kinds and a Swin with an assistant, a ViT or a pyramid
   network, compute what they computed before, to the last bit, also with a
   smaller image, another type, or weights that are left out.
2. In training, exactly what was trained before, the connections and, if it
   is trained, the assistant get gradients; after two steps, no parameter of
   the connections is without one, and the assistant changes the maps.
3. Without the assistant, the file is the one before.
4. The written config has at most 20 lines, and names files beside it.
"""

import copy

import pytest
import torch

from cbnet.checkpoints.weight_files import read_file
from cbnet.engine.verification import build_detector
from cbnet.testing import make_batch
from cbnet.twins.assistants import find_assistant, with_weights
from cbnet.twins.fitting import UpgradeOptions
from cbnet.twins.proof import compare_detectors, proof_images
from cbnet.twins.trained import check_checkpoint, read_detector
from cbnet.twins.upgraded_config import write_config
from cbnet.twins.upgraded_weights import start_weights, without_assistants

from .trained_detectors import write_trained

VIT, CNN = 'test_vit', 'test_convnext'
CASES = {
    'FasterRCNN': (VIT, {}),
    'MaskRCNN': (CNN, dict(train=True)),
    'RetinaNet': (VIT, dict(scale=0.5)),
    'DINO': (CNN, dict(leave_out=True)),
    'Mask2Former': (VIT, dict(dtype='bfloat16')),
    'RTMDet': (CNN, {}),
    'Swin': (VIT, dict(train=True)),
}


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


def upgrade(config, checkpoint, assistant, options):
    """Upgrade a detector; return it, its weights, the new config and model."""
    detector = read_detector(str(config))
    file = read_file(checkpoint)
    weights = check_checkpoint(str(config), detector.cfg, file, 'trained.pth')
    out, start = (
        config.parent / 'up' / 'new.py',
        config.parent / 'up' / 's.pth',
    )
    out.parent.mkdir()
    cfg, model = write_config(detector, assistant, out, start, options)
    found = start_weights(detector, weights, model, assistant)
    torch.save(dict(state_dict=found), start)
    assert len(out.read_text().splitlines()) <= 20
    return detector, weights, cfg, model


def gradients(model, batch):
    """Compute the gradients of one step, by the names of parameters."""
    data = model.data_preprocessor(copy.deepcopy(batch), True)
    model.parse_losses(model(**data, mode='loss'))[0].backward()
    return {n: p.grad for n, p in model.named_parameters()}


@pytest.mark.parametrize('kind', CASES)
def test_nothing_is_lost(kind, tmp_path, weights_of):
    name, options = CASES[kind]
    assistant = with_weights(find_assistant(name), weights_of(name))
    config, checkpoint = write_trained(kind, tmp_path)
    detector, weights, cfg, model = upgrade(
        config, checkpoint, assistant, UpgradeOptions(**options)
    )
    images, _ = proof_images(detector.cfg, [], tmp_path / 'up')
    before = (detector.cfg, checkpoint)
    start = tmp_path / 'up' / 's.pth'
    apart = compare_detectors(before, (cfg, start), images)
    assert (apart.largest, apart.place) == (0.0, '')
    assert apart.outputs > 5 and apart.detections > 0

    found = torch.load(start, weights_only=True)['state_dict']
    back = without_assistants(found, detector, cfg.model.backbone)
    assert back.keys() == weights.keys()
    assert all(torch.equal(back[n], w) for n, w in weights.items())

    batch = make_batch(size=(64, 96))
    if kind == 'RTMDet':
        for sample in batch['data_samples']:
            del sample.gt_instances.masks
    plain = build_detector(detector.cfg, weights).train()
    trained = {n for n, g in gradients(plain, batch).items() if g is not None}
    optimizer = torch.optim.SGD(
        (p for p in model.train().parameters() if p.requires_grad), 1e-3
    )
    train = 'train' in options
    for step in (0, 1):
        optimizer.zero_grad()
        found = gradients(model, batch)
        for n, gradient in found.items():
            if n.startswith('backbone.members.0.'):
                assert model.get_parameter(n).requires_grad == train, n
                assert train or gradient is None, n
            elif n.startswith('backbone.connections.'):
                assert step == 0 or gradient.any(), n
            else:
                old = n.replace('members.1.', '')
                assert (gradient is not None) == (old in trained), n
        assistant = (g for n, g in found.items() if 'members.0.' in n)
        learns = any(g is not None and g.any() for g in assistant)
        assert learns == (train and step == 1)  # once connections are not 0
        optimizer.step()
    after = without_assistants(
        model.state_dict(), detector, cfg.model.backbone
    )
    alone = build_detector(detector.cfg, after).eval()
    with torch.no_grad():
        inputs = plain.data_preprocessor(batch, False)['inputs']
        maps = zip(
            model.eval().backbone(inputs), alone.backbone(inputs), strict=True
        )
    assert not any(torch.equal(a, b) for a, b in maps)
