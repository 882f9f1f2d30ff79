"""tools/model_converters/published_to_cbnet.py, with tiny models.

1. detectors of each family under published names, in all forms of the
   published files (zipped or not, beside an optimizer, averaged, wrapped):
   every tensor of the result equals the original one, and the names of the
   classes are kept;
2. the config is found by the keys;
3. a file with only a backbone is converted, with a note;
4. weights that do not fit, and files that are no such checkpoint, end in one
   line with exit status 2 and leave nothing behind.
"""

import pickle
import re
import zipfile

import pytest
import torch

from tests.test_converters.published_layout import publish


def save_zipped(file, path):
    inner = path.with_suffix('')
    torch.save(file, inner)
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as outer:
        outer.write(inner, f'folder/{inner.name}')
        outer.writestr(f'__MACOSX/._{inner.name}', b'-')
    inner.unlink()


def averaged(weights):
    """Turn counters and indices into floats, as averaging does."""
    return {n: w.float() - 1e-7 * ~torch.tensor(w.is_floating_point())
            for n, w in weights.items()}  # fmt: skip


META = dict(mmdet_version='2.14.0', epoch=12, CLASSES=('a', 'b', 'c'))


def save(form, weights, path):
    """Save in one of the forms in which such files exist."""
    if form == 'plain':
        file = weights
    elif form == 'averaged':
        file = dict(state_dict=averaged(weights), meta=META)
    elif form == 'wrapped':
        file = dict(state_dict={f'module.{n}': w for n, w in weights.items()})
    else:
        momenta = {0: dict(momentum_buffer=torch.zeros(2))}
        file = dict(
            meta=META,
            state_dict=weights,
            optimizer=dict(state=momenta, param_groups=[dict(lr=0.02)]),
            amp=dict(loss_scaler0=dict(loss_scale=65536.0, unskipped=7)),
        )
    if form == 'zipped':
        path = path.with_suffix('.pth.zip')
        save_zipped(file, path)
    else:
        old = dict(_use_new_zipfile_serialization=form != 'old')
        torch.save(file, path, **old)
    return path


FORMS = ['trained', 'old', 'zipped', 'plain', 'averaged', 'wrapped']


@pytest.mark.parametrize(
    ('base', 'form'),
    [
        *((base, form) for base in ('FasterRCNN', 'MaskRCNN')
          for form in FORMS),
        ('CascadeRCNN', 'trained'),
    ],
)  # fmt: skip
def test_a_round_trip(base, form, make_trained, convert, tmp_path):
    config, model = make_trained(base)
    published = publish(model.state_dict())
    source = save(form, published, tmp_path / 'in.pth')
    out = tmp_path / 'new' / 'out.pth'
    status, said, errors = convert(
        'published_to_cbnet', source, out, '--config', config
    )
    assert (status, errors) == (0, [])
    file = torch.load(out, weights_only=True)
    expected = model.state_dict()
    assert list(file['state_dict']) == list(expected)
    for name, value in expected.items():
        found = file['state_dict'][name]
        assert found.dtype == value.dtype, name
        assert torch.equal(found, value), name
    assert file['meta']['converted_from'] == source.name
    assert file['meta']['config'] == config.name
    if form in ('trained', 'old', 'zipped', 'averaged'):
        assert file['meta']['dataset_meta'] == dict(classes=('a', 'b', 'c'))
        assert file['meta']['source_epoch'] == 12
    lines = said.splitlines()
    assert lines[0] == f'reading {source}'
    assert lines[2] == f'config: {config}'
    assert f'converted: {len(expected)} entries (backbone ' in said
    (line,) = [x for x in lines if x.startswith('loaded ')]
    assert line.startswith(f'loaded {len(expected)} entries of the converted ')
    counters = sum(not w.is_floating_point() for w in expected.values())
    cast = f'; converted to another data type {counters} ('
    assert (cast in line) == (form == 'averaged')
    (dropped,) = re.findall(r'^dropped, .*: (\d+)', said, re.M)
    assert len(published) == len(expected) + int(dropped)
    assert ('left out: optimizer, amp' in said) == (
        form in ('trained', 'old', 'zipped')
    )
    if base == 'FasterRCNN':
        (line,) = [x for x in lines if x.startswith('dropped, nothing')]
        assert line.startswith('dropped, nothing reads them: 5 (')
        assert line.count('backbone.cb_modules.1.bn1.') == 5
        assert 'permuted: 0\n' in said
    if base == 'MaskRCNN':
        assert (
            'permuted: 18 (backbone.cb_modules.0.layers.0.downsample.' in said
        )
        assert 'dropped, nothing reads them: 0\n' in said
    assert lines[-2:] == [
        f'wrote {out}',
        f'evaluate: cbnet test {config} {out}',
    ]
    assert sorted(p.name for p in out.parent.iterdir()) == ['out.pth']


BOTTLENECK = dict(
    type='CompositeBackbone',
    member=dict(type='ResNet', depth=50, base_channels=4),
    shared_stages=1,
)


def test_the_config_is_found(make_trained, convert, tmp_path):
    config, model = make_trained('FasterRCNN', backbone=BOTTLENECK)
    shipped = tmp_path / 'shipped'
    shipped.mkdir()
    config.rename(shipped / 'dual_r50.py')
    source = save('trained', publish(model.state_dict()), tmp_path / 'in.pth')
    out = tmp_path / 'out.pth'
    status, said, _ = convert(
        'published_to_cbnet', source, out, CONFIGS=shipped
    )
    assert status == 0
    assert (
        'model: Faster R-CNN, two members ResNet-50, box heads 1 or 2 fc\n'
        f'config: {shipped / "dual_r50.py"}\n'
    ) in said
    assert out.exists()

    # The model of the real config is wider.
    other = tmp_path / 'other.pth'
    status, said, errors = convert('published_to_cbnet', source, other)
    assert status == 2 and not other.exists()
    assert said.endswith('configs/cbnet/dual_r50.py\n')
    assert (
        'differ in shape (backbone.members.0.conv1.weight (4, 3, 7, 7) '
        'instead of (64, 3, 7, 7)'
    ) in errors[-1]


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_a_backbone_alone(prefix, make_trained, convert, tmp_path):
    config, model = make_trained('MaskRCNN')
    published = {
        prefix + name.removeprefix('backbone.'): value
        for name, value in publish(model.state_dict()).items()
        if name.startswith('backbone.')
    }
    source = save('plain', published, tmp_path / 'in.pth')
    out = tmp_path / 'out.pth'
    status, said, errors = convert('published_to_cbnet', source, out)
    assert status == 2 and not out.exists()
    wanted = 'no config of a backbone without a detector, two members Swin'
    assert wanted in errors[-1]
    status, said, _ = convert(
        'published_to_cbnet', source, out, '--config', config
    )
    assert status == 0
    assert 'cannot be evaluated; start training from it:' in said
    found = torch.load(out, weights_only=True)['state_dict']
    own = model.backbone.state_dict()
    assert list(found) == [f'backbone.{name}' for name in own]
    for name, value in own.items():
        assert torch.equal(found[f'backbone.{name}'], value)


def without(weights, *names):
    return {n: w for n, w in weights.items() if n not in names}


WRONG = {
    'missing': (
        lambda w: without(w, 'neck.fpn_convs.0.conv.bias', 'rpn_head.rpn_cls'
                          '.weight', 'backbone.cb_linears.1.0.1.weight'),
        'the file lacks 3 (backbone.connections.0.1_to_1.norm.weight, '
        'neck.fpn_convs.0.conv.bias, rpn_head.rpn_cls.weight)',
    ),
    'unknown': (
        lambda w: w | {'neck.more': torch.ones(1)},
        'the model lacks 1 (neck.more)',
    ),
    'shape': (
        lambda w: w | {'rpn_head.rpn_cls.bias': torch.ones(9)},
        '1 differs in shape (rpn_head.rpn_cls.bias (9,) instead of (3,))',
    ),
    'third': (
        lambda w: w | {'backbone.cb_modules.2.conv1.weight': torch.ones(1)},
        'backbone.cb_modules.2.conv1.weight: the published code has two',
    ),
    'ours': (
        lambda w: {'backbone.members.0.conv1.weight': torch.ones(1)},
        'these are names of this package: nothing to convert',
    ),
    'nothing': (lambda w: dict(a=1), 'it holds no weights (it has a)'),
    'list': (lambda w: [1], 'holds a list; expected a dict'),
}  # fmt: skip


@pytest.mark.parametrize('kind', WRONG)
def test_weights_that_do_not_fit(kind, make_trained, convert, tmp_path):
    change, message = WRONG[kind]
    config, model = make_trained('FasterRCNN')
    source = tmp_path / 'in.pth'
    torch.save(change(publish(model.state_dict())), source)
    out = tmp_path / 'new' / 'out.pth'
    status, _, errors = convert(
        'published_to_cbnet', source, out, '--config', config
    )
    assert status == 2
    assert errors[-1].startswith('cbnet published-to-cbnet: error: ')
    assert message in errors[-1]
    assert not out.parent.exists()


class Call:
    def __reduce__(self):
        return print, ('called',)


def test_files_that_are_no_checkpoints(make_trained, convert, tmp_path):
    config, model = make_trained('FasterRCNN')
    good = save('trained', publish(model.state_dict()), tmp_path / 'good.pth')
    files = {
        'cut.pth': good.read_bytes()[:-100],
        'text.pth': b'<!DOCTYPE html>',
        'unsafe.pth': pickle.dumps(dict(state_dict=Call()), 2),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for name, inside in dict(two=['a.pth', 'b.pth'], none=['a.txt']).items():
        with zipfile.ZipFile(tmp_path / f'{name}.zip', 'w') as outer:
            for part in inside:
                outer.writestr(part, good.read_bytes()[:1000])
    zipped = tmp_path / 'bad.pth.zip'
    with zipfile.ZipFile(zipped, 'w') as outer:
        outer.write(good, 'good.pth')
    content = bytearray(zipped.read_bytes())
    content[5000:5100] = bytes(100)
    zipped.write_bytes(content)
    for name, message in {
        'cut.pth': 'is cut short',
        'text.pth': 'is no checkpoint of torch',
        'unsafe.pth': 'refused, because a checkpoint may hold only data',
        'two.zip': 'a zip with 2 files that end in .pth',
        'none.zip': 'a zip with 0 files that end in .pth (it holds a.txt)',
        'bad.pth.zip': 'bad.pth.zip: not a checkpoint that torch can read '
        'safely: the file is cut short or of another kind (BadZipFile: Bad',
        'gone.pth': 'there is no such file',
    }.items():
        status, said, errors = convert(
            'published_to_cbnet', tmp_path / name, tmp_path / 'out.pth',
            '--config', config,
        )  # fmt: skip
        assert status == 2, name
        assert message in errors[-1], (name, errors)
        assert 'called' not in said
        assert not (tmp_path / 'out.pth').exists()


def test_configs_that_are_none(make_trained, convert, tmp_path):
    _, model = make_trained('FasterRCNN')
    source = save('plain', publish(model.state_dict()), tmp_path / 'in.pth')
    (tmp_path / 'empty.py').write_text('a = 1\n')
    (tmp_path / 'broken.py').write_text('model = dict(')
    for name, message in {
        'gone.py': 'no config file',
        'empty.py': 'has no model with a backbone',
        'broken.py': 'never closed',
    }.items():
        status, _, errors = convert(
            'published_to_cbnet', source, tmp_path / 'out.pth',
            '--config', tmp_path / name,
        )  # fmt: skip
        assert status == 2 and message in errors[-1]
    status, _, errors = convert('published_to_cbnet', source, source)
    assert status == 2 and 'is IN.pth' in errors[-1]
    status, _, errors = convert(
        'published_to_cbnet', source, tmp_path / 'o.pth'
    )
    assert status == 2
    assert 'no config of Faster R-CNN, two members ResNet-18' in errors[-1]
