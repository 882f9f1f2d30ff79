"""Files for others: written with a fingerprint, verified with one option.

1. a published checkpoint holds weights, meta and fingerprint only, under a
   name that ends with its hash; what was recorded of the outputs is what the
   detector computes;
2. `test --verify` and `infer --verify` take it, and refuse a changed weight, a
   config that computes something else, and a file without a fingerprint;
   without the option, a changed weight is a warning;
3. mistakes of publishing end in one line and write nothing;
4. the converters, averages and plain publishing write fingerprints, too.
"""

import hashlib

import pytest
import torch

from cbnet.checkpoints.fingerprint import KEY

OTHER = ['--cfg-options', 'model.data_preprocessor.bgr_to_rgb=False']


@pytest.fixture
def published(run_command, tiny_config, weights, tmp_path):
    """The path of a published file, and what the command said."""
    file = torch.load(weights, weights_only=True)
    file['optimizer'] = dict(state={0: torch.zeros(9)})
    file['meta'].update(epoch=3, cfg='model = 1', seed=0)
    torch.save(file, weights)
    out = tmp_path / 'new' / 'tiny.pth'
    status, said = run_command('publish', weights, tiny_config, '--out', out)
    assert status == 0, said
    (path,) = out.parent.iterdir()
    return path, said


def change(path, name='backbone.members.0.conv1.weight'):
    """Write the file with one other number; give the new path."""
    file = torch.load(path, weights_only=True)
    file['state_dict'][name].view(-1)[0] += 1e-3
    out = path.with_name('changed.pth')
    torch.save(file, out)
    return out


def test_what_is_published(published, weights, tiny_config):
    path, said = published
    content = path.read_bytes()
    digits = hashlib.sha256(content).hexdigest()[:8]
    assert path.name == f'tiny-{digits}.pth'
    file = torch.load(path, weights_only=True)
    before = torch.load(weights, weights_only=True)['state_dict']
    assert file.keys() == {'meta', 'state_dict'}
    assert file['meta'].keys() == {
        'cbnet_version', 'converted_from', 'source_epoch', 'dataset_meta',
        'config', KEY,
    }  # fmt: skip
    assert all(torch.equal(file['state_dict'][n], before[n]) for n in before)
    assert len(file['meta'][KEY]['outputs']) == 26
    assert [x for x in said.splitlines() if ' - mmengine - ' not in x] == [
        f'reading {weights}',
        f'loaded {len(before)} entries of {weights}; renamed 0; resized 0; '
        f'shared 0; new 0; ignored 0',
        'fingerprint: 26 outputs on a fixed image',
        'left out: optimizer',
        f'wrote {path}',
        f'verify: cbnet test {tiny_config} {path} --verify',
    ]


def test_verified_by_infer(published, infer, photos):
    path, _ = published
    status, said = infer(photos, '--verify', '--no-images', checkpoint=path)
    assert status == 0, said
    count = len(torch.load(path, weights_only=True)['state_dict'])
    said_once = f'verified {path}: {count} weights and 26 outputs (they diff'
    assert said.count(said_once) == 1
    changed = change(path)
    status, said = infer(photos, '--no-images', checkpoint=changed)
    assert status == 0
    assert (
        f'{changed} is not as it was written: 1 changed '
        f'(backbone.members.0.conv1.weight)'
    ) in said
    status, said = infer(photos, '--verify', checkpoint=changed)
    assert status == 2
    assert (
        f'{changed} fails the verification: its weights are not those that '
        f'it was written with: 1 changed (backbone.members.0.conv1.weight)'
    ) in said.splitlines()[-1]
    status, said = infer(photos, '--verify', *OTHER, checkpoint=path)
    assert status == 2
    assert '26 of 26 outputs of the detector' in said.splitlines()[-1]
    status, said = infer(photos, '--verify')
    assert status == 2
    assert 'tiny.pth has no fingerprint' in said.splitlines()[-1]


def test_verified_by_infer_with_views(published, infer, photos):
    path, _ = published
    status, said = infer(
        photos, '--verify', '--tta', '--no-images', checkpoint=path
    )
    assert status == 0 and f'verified {path}' in said


def test_verified_by_testing(published, run_command, tiny_config):
    path, _ = published
    status, said = run_command('test', tiny_config, path, '--verify')
    assert status == 0, said
    assert said.count(f'verified {path}: ') == 1
    assert said.index('verified') < said.index('coco/bbox_mAP:')


def test_a_replicated_file_is_verified_when_training_starts(
    published, run_command, tiny_config, tmp_path
):
    """It lacks the connections, whose initial values do not count."""
    weights = torch.load(published[0], weights_only=True)['state_dict']
    plain = {
        name.replace('members.0.', ''): weight
        for name, weight in weights.items()
        if not name.startswith(('backbone.members.1', 'backbone.conn'))
    }
    torch.save(plain, tmp_path / 'plain.pth')
    start = tmp_path / 'start.pth'
    status, said = run_command(
        'replicate-members', 'plain.pth', start, '--config', tiny_config
    )
    assert status == 0 and 'not recorded' not in said
    train = ['train', tiny_config, '--verify', '--cfg-options',
             'train_cfg.max_iters=1', f'load_from={start}', 'val_cfg=None',
             'val_dataloader=None', 'val_evaluator=None']  # fmt: skip
    status, said = run_command(*train)
    assert status == 0, said
    assert f'verified {start}: {len(torch.load(start)["state_dict"])} ' in said
    assert 'weights and 26 outputs' in said


def test_without_a_config(run_command, weights, tmp_path, infer, photos):
    out = tmp_path / 'new' / 'a.pth'
    status, said = run_command('publish', weights, '--out', out)
    assert status == 0 and 'verify:' not in said
    (path,) = out.parent.iterdir()
    status, said = infer(photos, '--verify', '--no-images', checkpoint=path)
    assert status == 0
    assert 'weights, but no outputs, because none are recorded' in said


def test_averages(published, run_command, tiny_config, tmp_path):
    path, _ = published
    out = tmp_path / 'mean.pth'
    average = ['average-checkpoints', path, path, '--out', out]
    assert run_command(*average, '--config', tiny_config)[0] == 0
    again = torch.load(out, weights_only=True)['meta'][KEY]
    assert again == torch.load(path, weights_only=True)['meta'][KEY]
    assert run_command(*average)[0] == 0
    assert not torch.load(out, weights_only=True)['meta'][KEY]['outputs']


def test_mistakes(run_command, weights, tiny_config, tmp_path):
    out = tmp_path / 'out.pth'
    narrow = tmp_path / 'narrow.py'
    narrow.write_text(
        f'_base_ = {str(tiny_config)!r}\nmodel = dict(backbone=dict(style='
        f"'slc'))\n"
    )
    (tmp_path / 'empty.pth').write_bytes(b'')
    torch.save(dict(epoch=3), tmp_path / 'none.pth')
    for arguments, message in (
        ([weights, narrow, '--out', out], 'does not fit the model: the model'),
        ([weights, 'gone.py', '--out', out], 'no config file gone.py'),
        (['gone.pth', '--out', out], 'there is no such file'),
        (['empty.pth', '--out', out], 'is no checkpoint of torch'),
        (['none.pth', '--out', out], 'holds no weights'),
        ([weights, '--out', weights], 'is CHECKPOINT; name another file'),
        ([weights], 'required: --out'),
    ):
        before = sorted(tmp_path.iterdir())
        status, said = run_command('publish', *arguments)
        assert status == 2
        assert message in said.splitlines()[-1]
        assert sorted(tmp_path.iterdir()) == before
