"""tools/model_converters/replicate_members.py, with tiny models.

1. the file of an ordinary detector goes into every member of a config's
   model, or into a given number of members; the output is checked;
2. mistakes end in one line.
"""

import torch
from mmengine.config import Config

from cbnet.checkpoints.fingerprint import KEY
from cbnet.testing import build_model

from .converter_runs import randomised


def test_replicate_with_a_config(make_trained, convert, tmp_path):
    config, model = make_trained('MaskRCNN', num_members=3, shared_stages=2)
    plain = dict(Config.fromfile(config).model)
    plain['backbone'] = plain['backbone']['member']
    plain = randomised(build_model(plain))
    source, out = tmp_path / 'in.pth', tmp_path / 'out.pth'
    meta = dict(dataset_meta=dict(classes=['a', 'b', 'c']), epoch=3)
    torch.save(dict(state_dict=plain.state_dict(), meta=meta), source)
    status, said, errors = convert(
        'replicate_members', source, out, '--config', config
    )
    assert (status, errors) == (0, [])
    file = torch.load(out, weights_only=True)
    weights = file['state_dict']
    assert file['meta']['dataset_meta'] == dict(classes=('a', 'b', 'c'))
    keys = model.load_state_dict(weights, strict=False)
    assert keys.unexpected_keys == []
    assert keys.missing_keys == [
        n for n in model.state_dict() if n.startswith('backbone.connections.')
    ]
    assert (
        f'connections, which keep their initial values: {len(keys[0])} '
        in said
    )
    assert said.splitlines()[-1] == (
        f'train from it: cbnet train {config} --cfg-options load_from={out}'
    )
    assert 'fingerprint: 30 outputs on a fixed image\n' in said
    assert len(file['meta'][KEY]['outputs']) == 30
    for k, line in enumerate(said.splitlines()[1:4]):
        own = len(model.backbone.members[k].state_dict())
        assert line == f'member {k}: {own} entries'


def test_replicate_without_a_config(make_trained, convert, tmp_path):
    _, model = make_trained('FasterRCNN', num_members=1)
    source, out = tmp_path / 'in.pth', tmp_path / 'out.pth'
    torch.save(model.state_dict(), source)
    own = len(model.backbone.members[0].state_dict())
    shares = {  # entries that two later members do not have
        (): 6 + 24,
        ('--shared-stages', 'none'): 0,
        ('--shared-stages', 0): 6,
    }
    for options, shared in shares.items():
        status, said, errors = convert(
            'replicate_members', source, out, '--num-members', 3, *options
        )
        assert (status, errors) == (0, [])
        assert f'member 0: {own} entries\n' in said
        assert f'member 2: {own - shared} entries\n' in said


def test_mistakes_of_replicating(make_trained, convert, tmp_path):
    config, model = make_trained('FasterRCNN')
    composite, out = tmp_path / 'composite.pth', tmp_path / 'out.pth'
    torch.save(model.state_dict(), composite)
    plain = {
        name.replace('members.0.', ''): value
        for name, value in model.state_dict().items()
        if not name.startswith(('backbone.m', 'backbone.c'))
        or name.startswith('backbone.members.0.')
    }
    good, wide = tmp_path / 'good.pth', tmp_path / 'wide.pth'
    torch.save(plain, good)
    plain['backbone.conv1.weight'] = torch.zeros(64, 3, 7, 7)
    torch.save(plain, wide)
    text = config.read_text()
    (tmp_path / 'plain.py').write_text(
        text.replace("'type': 'CompositeBackbone', 'member':", '**', 1)
        .replace("'num_members'", "'zz'")
        .replace(", 'shared_stages': 1", '')
    )
    for arguments, message in (
        ([composite, '--num-members', 2], 'holds a composite already'),
        ([wide, '--config', config], 'conv1.weight (64, 3, 7, 7) instead of'),
        ([good, '--config', tmp_path / 'plain.py'], 'expected a CompositeB'),
        ([good], 'give either --config or --num-members'),
        ([good, '--num-members', 0], 'expected 1 or more'),
        ([good, '--num-members', 2, '--shared-stages', 'x'], 'nor none'),
        ([good, '--config', config, '--shared-stages', 1], 'already tells it'),
    ):
        source, *options = arguments
        status, _, errors = convert('replicate_members', source, out, *options)
        assert status == 2
        assert message in errors[-1], errors
        assert not out.exists()
