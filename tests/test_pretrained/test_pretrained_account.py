"""Every tensor of a pretrained file and of a member is accounted for.

For every family of tiny members and random changes of its own file (entries
dropped, added, halved, tables of another window, a detector around it): what
is loaded is reported in exactly one class, and what does not fit is refused
and leaves the member as it was.
"""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cbnet.errors import UserError
from cbnet.pretrained import load_into
from cbnet.testing import TINY_MEMBERS, build_model, tiny_composite
from tests.test_checkpoints.partitions import assert_partition

from .pretrained_files import SWIN, load, microsoft_names, timm_swin

ADDED = ('fc.weight', 'norm.total_ops', 'layer9.weight', 'head.x')


@pytest.fixture(scope='module')
def members():
    """Each family's member that shares a stage, all names, a file."""
    made = {
        name: build_model(tiny_composite(name, shared_stages=1))
        for name in TINY_MEMBERS
    }
    return {
        name: (
            model.members[1],
            model._names[1],
            build_model(TINY_MEMBERS[name]).state_dict(),
        )
        for name, model in made.items()
    }


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_one_class_for_every_tensor(members, data):
    family = data.draw(st.sampled_from(sorted(TINY_MEMBERS)))
    member, complete, file = members[family]
    file = {name.removeprefix('model.'): w for name, w in file.items()}
    some = st.lists(st.sampled_from(sorted(file)), max_size=3)
    for name in data.draw(some):
        file[name] = file[name].half()
    for name in data.draw(st.one_of(st.just([]), some)):
        file.pop(name, None)
    for name in data.draw(st.lists(st.sampled_from(ADDED), max_size=2)):
        file[name] = torch.zeros(1)
    prefix = data.draw(st.sampled_from(['', 'backbone.', 'module.']))
    content = {prefix + name: weight for name, weight in file.items()}
    if prefix and data.draw(st.booleans()):
        content['neck.weight'] = torch.zeros(1)
    before = copy.deepcopy(member.state_dict())
    try:
        report = load_into(member, {'state_dict': content}, complete, 'a')
    except UserError:
        for name, weight in member.state_dict().items():
            assert torch.equal(weight, before[name])
        return
    level = 'model.' if family.startswith('timm') else ''
    own = [n.removeprefix(level) for n in member.state_dict()]
    names = [n.removeprefix(report.path.partition('.')[2]) for n in content]
    assert_partition(report, names, own)
    for name in report.loaded:
        expected = file[name].to(before[level + name].dtype)
        assert torch.equal(member.state_dict()[level + name], expected)
    for name in (*report.new, *report.kept):
        assert torch.equal(
            member.state_dict()[level + name], before[level + name]
        )


@pytest.mark.parametrize('window', [4, 2])
@pytest.mark.parametrize('names', ['timm', 'microsoft'])
def test_renamed_and_resized(names, window):
    model = timm_swin(window)
    file = model.state_dict()
    if names == 'microsoft':
        file = microsoft_names(model, window)
    backbone = build_model(SWIN)
    report = load(backbone, {'model': file, 'epoch': torch.tensor(3)})
    assert report.outside == 1 and report.renamed
    assert bool(report.resized) == (window != 4)
    assert set(report.cast) == set(report.loaded)  # of float64 files
    names = [*report.loaded, *report.shared, *report.ignored]
    assert len(names) == len(file)
    assert_partition(report, [*names, 'epoch'], backbone.state_dict())


def test_two_names_for_one_entry_are_no_layout():
    """Which of both would be loaded would be a matter of their order."""
    backbone = build_model(TINY_MEMBERS['resnet'])
    children = dict(conv1='0', bn1='1', **{f'layer{i}': str(i + 3)
                    for i in (1, 2, 3, 4)})  # fmt: skip
    file = {}
    for name, weight in backbone.state_dict().items():
        child, _, rest = name.partition('.')
        file[f'{children[child]}.{rest}'] = weight
    assert len(load(backbone, file).loaded) == len(file)
    file['conv1.weight'] = torch.zeros(8, 3, 7, 7)
    with pytest.raises(UserError, match='nothing was loaded'):
        load(backbone, file)
