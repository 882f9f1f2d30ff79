"""A checkpoint of another model is refused before anything is loaded.

- resuming refuses a file that holds only weights, other shapes and missing
  weights; a file of the same model passes (test_safe_stop.py resumes many);
- load_from refuses a file that shares nothing with the model; one that
  shares a part passes, as for fine-tuning; the prefix ``module.`` and files
  without ``state_dict`` are understood;
- an evaluation needs all weights and statistics in their shapes, but no
  counters, and refuses a file with more members;
- the account covers every tensor of the file and the model, for any changes
  of a file, and is one line in the log of a run;
- a missing file, and one that is cut short, are named before the run.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cbnet.checkpoints.fingerprint import KEY
from cbnet.checkpoints.weight_files import write_weights
from cbnet.engine.checkpoint_fit import CheckpointFitHook, check_fit
from cbnet.errors import UserError
from tests.test_checkpoints.partitions import assert_partition

from .small_run import SmallModel, small_run


def fit(found, complete):
    return check_fit(found, SmallModel(), 'a.pth', complete)


@pytest.fixture
def weights():
    return SmallModel().state_dict()


@pytest.mark.parametrize('complete', [False, True])
def test_of_the_same_model(weights, complete):
    fit(weights, complete)
    fit({f'module.{n}': v for n, v in weights.items()}, complete)
    fit(dict(weights, more=torch.ones(1)), complete)
    del weights['norm.num_batches_tracked']
    fit(weights, complete)


@pytest.mark.parametrize('complete', [False, True])
def test_nothing_in_common(complete):
    other = {'stem.weight': torch.ones(1), 'layer.weight': torch.ones(7, 7)}
    with pytest.raises(ValueError) as raised:
        fit(other, complete)
    message = str(raised.value)
    assert message.startswith(
        'a.pth does not fit the model: none of its weights, '
        '2 (stem.weight, layer.weight), has'
    )
    assert 'give a checkpoint of the same architecture' in message


def test_a_file_without_weights():
    with pytest.raises(ValueError, match=r'a.pth holds no weights \(it has'):
        fit({'epoch': 3}, complete=False)


def test_a_part_in_common(weights):
    weights['layer.weight'] = torch.ones(5, 3)
    del weights['norm.bias']
    fit(weights, complete=False)
    with pytest.raises(ValueError) as raised:
        fit(weights, complete=True)
    message = str(raised.value)
    assert 'the file lacks 1 (norm.bias)' in message
    assert '1 differs in shape (layer.weight (5, 3) instead of' in message
    assert message.endswith('the config that it was trained with')


def test_a_file_with_more_members(weights):
    """A dual composite's file is not one of its single twin."""
    weights['backbone.members.1.conv.weight'] = torch.ones(1)
    fit(weights, complete=False)
    message = (
        r'the model lacks 1 \(backbone.members.1.*the same num_members, style'
    )
    with pytest.raises(ValueError, match=message):
        fit(weights, complete=True)


@pytest.mark.parametrize('change', ['gone', 'of another shape'])
@pytest.mark.parametrize('name', ['running_mean', 'running_var'])
def test_statistics_count(weights, name, change):
    value = weights.pop(f'norm.{name}')
    if change != 'gone':
        weights[f'norm.{name}'] = torch.cat([value, value])
    fit(weights, complete=False)
    with pytest.raises(ValueError, match=rf'\(norm.{name}'):
        fit(weights, complete=True)


CHANGES = {
    'drop': lambda w, n: w.pop(n, None),
    'halve': lambda w, n: w.update({n: w.get(n, torch.ones(1)).half()}),
    'widen': lambda w, n: w.update({n: torch.ones(7, 7)}),
    'add': lambda w, n: w.update({f'{n}.more': torch.ones(1)}),
    'prefix': lambda w, n: w.update(
        {f'module.{m}': w.pop(m) for m in list(w)}
    ),
}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(CHANGES)),
            st.sampled_from(sorted(SmallModel().state_dict())),
        )
    ),
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_every_tensor_has_one_place(changes, complete):
    model = SmallModel()
    file = model.state_dict()
    for kind, name in changes:
        CHANGES[kind](file, name)
    try:
        report = check_fit(file, model, 'a.pth', complete)
    except UserError:
        return
    names = file
    if all(name.startswith('module.') for name in file):
        names = [name.removeprefix('module.') for name in file]
    assert_partition(report, names, model.state_dict())
    missing = set(model.state_dict()) - set(report.loaded)
    assert not complete or missing <= {'norm.num_batches_tracked'}


def test_the_account_is_in_the_log(tmp_path, weights):
    weights['layer.weight'] = torch.ones(5, 3)
    weights['unused'] = weights['unused'].half()
    path = tmp_path / 'part.pth'
    torch.save(weights, path)
    small_run(tmp_path / 'run', load_from=str(path), steps=1).train()
    (log,) = (tmp_path / 'run').glob('*/*.log')
    (line,) = [x for x in log.read_text().splitlines() if 'loaded ' in x]
    assert line.endswith(
        f'WARNING - loaded 7 entries of {path}; renamed 0; resized 0; '
        f'shared 0; new 0; ignored 0; not loaded, of another shape 1 '
        f'(layer.weight (5, 3) instead of (1, 3)); converted to another data '
        f'type 1 (unused float16 to float32)'
    )


def test_a_changed_file_is_a_warning(tmp_path, weights):
    """What training writes has no fingerprint, whatever it started from."""
    path = tmp_path / 'a.pth'
    write_weights(path, weights, {})
    file = torch.load(path)
    file['state_dict']['layer.bias'] += 1
    torch.save(file, path)
    small_run(tmp_path / 'run', load_from=str(path), steps=1).train()
    (log,) = (tmp_path / 'run').glob('*/*.log')
    assert (
        f'WARNING - {path} is not as it was written: 1 changed (layer.bias);'
    ) in log.read_text()
    written = torch.load(tmp_path / 'run' / 'iter_1.pth', weights_only=True)
    assert KEY not in written['meta']


def test_load_from(tmp_path, weights):
    torch.save(dict(a=torch.ones(2)), tmp_path / 'other.pth')
    run = small_run(tmp_path / 'run', load_from=str(tmp_path / 'other.pth'))
    with pytest.raises(ValueError, match='other.pth does not fit'):
        run.train()
    weights['layer.weight'] = torch.ones(5, 3)
    torch.save(weights, tmp_path / 'part.pth')
    small_run(
        tmp_path / 'run', load_from=str(tmp_path / 'part.pth'), steps=1
    ).train()


def test_resuming(tmp_path, weights):
    path = tmp_path / 'a.pth'

    def resumed():
        return small_run(tmp_path / 'run', resume=True, load_from=str(path))

    torch.save(weights, path)
    with pytest.raises(ValueError, match='cannot be resumed: it holds unused'):
        resumed().train()
    small_run(tmp_path / 'run', steps=1).train()
    file = torch.load(tmp_path / 'run' / 'iter_1.pth', weights_only=True)
    del file['state_dict']['layer.bias']
    torch.save(file, path)
    with pytest.raises(ValueError, match=r'the file lacks 1 \(layer.bias\)'):
        resumed().train()


@pytest.mark.parametrize(
    ('content', 'error'), [(None, FileNotFoundError), (b'PK12', ValueError)]
)
def test_a_file_that_is_not_there_or_cut(tmp_path, content, error):
    if content:
        (tmp_path / 'a.pth').write_bytes(content)
    runner = small_run(tmp_path, load_from=str(tmp_path / 'a.pth'))
    with pytest.raises(error, match="load_from='/.*a.pth'"):
        CheckpointFitHook().before_run(runner)


@pytest.mark.parametrize(
    ('loop', 'damage', 'message'),
    [
        (dict(epochs=1), dict(epoch=3), 'meta.epoch is 3, .*max_epochs .* 1;'),
        (
            dict(steps=2),
            dict(iter=1000),
            'meta.iter is 1000, .*max_iters .* 2;',
        ),
    ],
)
def test_resuming_beyond_the_end(tmp_path, loop, damage, message):
    """Mmengine would load and skip as many batches."""
    small_run(tmp_path, **loop).train()
    path = next(tmp_path.glob('*.pth'))
    file = torch.load(path)
    file['meta'].update(damage)
    torch.save(file, path)
    run = small_run(tmp_path, **loop, load_from=str(path), resume=True)
    with pytest.raises(ValueError, match=message):
        run.train()
