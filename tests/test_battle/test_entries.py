"""The texts of entries.

1. Each part of the grammar is read as it is meant.
2. Lists come from YAML files, with names and overrides.
3. Presets name what exists, and no name twice.
4. Mistakes are one sentence, with near names where there are any.
"""

import pytest
import timm

from cbnet.battle.entries import (
    EntryOptions,
    MemberText,
    read_entry,
)
from cbnet.battle.entry_lists import computed_presets, read_entries
from cbnet.battle.members import build_backbone
from cbnet.battle.presets import PRESETS
from cbnet.errors import UserError

M = MemberText
#: changes of the learning rate
RATES = (
    '{optim_wrapper.optimizer.lr: 1}',
    '{optim_wrapper.optimizer: {type: SGD, lr: 1}}',
    '{optim_wrapper: {optimizer.lr: 1}}',
    '{optim_wrapper: {optimizer: {lr: 1}}}',
)


@pytest.mark.parametrize(
    ('text', 'members', 'options'),
    [
        ('resnet50', [M('resnet50')], {}),
        ('1x resnet50, name=b', [M('resnet50')], dict(name='b')),
        ('2x resnet50', [M('resnet50')] * 2, {}),
        ('frozen:a + b.c_d', [M('a', 'frozen'), M('b.c_d')], {}),
        ('frozen:a@0.5 + a', [M('a', 'frozen', 0.5), M('a')], {}),
        ('random:a=', None, {}),
        ('a=my w.pth', [M('a', weights='my w.pth')], {}),
        ('a@2=w.pth + b', [M('a', scale=2, weights='w.pth'), M('b')], {}),
        ('cbnet::x/y.py', [M('cbnet::x/y.py')], {}),
        ('2x my cfg/a.py=w', [M('my cfg/a.py', weights='w')] * 2, {}),
        (
            "2x a=Bob's.pth, name=Bob's twin, style=slc",
            [M('a', weights="Bob's.pth")] * 2,
            dict(name="Bob's twin", style='slc'),
        ),
        (
            'a="my, w.pth", name=\'b, "c"\'',
            [M('a', weights='my, w.pth')],
            dict(name='b, "c"'),
        ),
        ('a, name="b" or "c"', [M('a')], dict(name='"b" or "c"')),
        (
            'A(depth=50, dims=(1, 2)) + B(x="a + b")',
            [
                M('A', arguments=dict(depth=50, dims=(1, 2))),
                M('B', arguments=dict(x='a + b')),
            ],
            {},
        ),
        (
            '3x a, style=slc, assistance=[0.5, 1.0], shared_stages=none',
            [M('a')] * 3,
            dict(style='slc', assistance=[0.5, 1.0], shared_stages=None),
        ),
        ('2x a, assistance=0.0, name=b c', [M('a')] * 2,
         dict(assistance=0.0, name='b c')),
    ],
)  # fmt: skip
def test_grammar(text, members, options):
    if members is None:
        with pytest.raises(UserError, match='is no member'):
            read_entry(text)
        return
    entry = read_entry(text)
    assert list(entry.members) == members
    assert entry.options == EntryOptions(**options)
    assert entry.name == options.get('name', text)


@pytest.mark.parametrize('opened', ['(', '[', '{', '"', " '"])
@pytest.mark.parametrize('closed', [')', ']', '}', ''])
def test_what_is_open_swallows_nothing(opened, closed):
    text = f'a, name=b{opened}c, style=slc{closed}'
    if opened + closed in ('()', '[]', '{}'):
        assert read_entry(text).name == f'b{opened}c, style=slc{closed}'
        return
    with pytest.raises(UserError) as error:
        read_entry(text)
    wrong = f'{closed} closes no' if closed and opened in '([{' else (
        f'{opened.strip()} is not closed'
    )  # fmt: skip
    assert wrong in str(error.value)


def test_the_spelling_of_a_member():
    text = "ResNet(depth=50, style='caffe')@0.5"
    (member, _) = read_entry(f'frozen:{text}=w.pth + a').members
    assert member.spelt == text
    assert read_entry(f'frozen:{member.spelt}=w.pth + a').members[0] == member


def test_a_list_in_a_file(tmp_path):
    file = tmp_path / 'list.yaml'
    file.write_text(
        '- resnet18\n'
        '- entry: 2x resnet18\n'
        '  name: twin\n'
        '  style: slc\n'
        '  cfg: {model.backbone.with_cp: true}\n'
    )
    single, twin, last = read_entries([str(file), 'resnet50'])
    assert (single.name, twin.name, last.name) == (
        'resnet18', 'twin', 'resnet50',
    )  # fmt: skip
    assert twin.options.style == 'slc' and len(twin.members) == 2
    assert twin.changes == {'model.backbone.with_cp': True}


def test_presets_in_a_file(tmp_path):
    file = tmp_path / 'list.yaml'
    file.write_text('- a\n- small\n- equal-cost:b\n- 3x b\n')
    texts = [str(file), 'equal-cost:b', 'equal-cost:c']
    assert computed_presets(texts) == texts[1:]
    lists = {'equal-cost:b': ['b', '2x b'], 'equal-cost:c': ['c']}
    found = read_entries([str(file), 'equal-cost:c'], lists)
    names = ['a', *PRESETS['small'], 'b', '2x b', '3x b', 'c']
    assert [one.name for one in found] == names


@pytest.mark.parametrize('preset', PRESETS)
def test_presets(preset):
    names = {m.name for entry in read_entries([preset]) for m in entry.members}
    for name in names:
        known = timm.list_pretrained(f'{name.partition(".")[0]}.*')
        assert name in [*known, *(one.partition('.')[0] for one in known)]


@pytest.mark.parametrize(
    ('texts', 'sentence'),
    [
        ([], 'there is no entry'),
        (['a', 'a'], "'a' and 'a' have one name"),
        (
            ['a, name=c', 'b, name=c'],
            "'c' and 'c' have one name, so their runs would be mixed up; "
            'leave one of them out, or give it another name with the option '
            'name=...',
        ),
        (['2x a', ' 2X  a'], 'is no member'),
        (['2x a', '2x  a'], "'2x a' and '2x a' have one name"),
        (['a, name=b', 'B'], "'b' and 'B' have one name"),
        (['0x a'], '0 members, expected 1 to'),
        (['99x a'], '99 members, expected 1 to'),
        (['2x a + b'], 'multiplies and adds'),
        (['a@0.5'], 'resizes the images of its lead'),
        (['a@nine + b'], "scale='nine'; expected"),
        (['a@9 + b'], 'scale=9; expected'),
        (['a + frozen:b'], 'freezes its lead'),
        (['random:a=w.pth'], 'starts at random and from a file'),
        (['frozn:a'], 'is no member'),
        (['a, stile=slc'], "no option 'stile'; did you mean 'style'?"),
        (['a, style=slk'], "style='slk'; expected"),
        (['a, assistance=-1.0'], 'assistance=-1.0; expected'),
        (['a, slc'], "'slc' is no key=value"),
        (['2x a, style=slc, style=fcc'], "style twice, as 'slc' and as 'fcc'"),
        (['a, name=b, name=b'], "gives name twice, as 'b' and as 'b'"),
        (['2x a, assistance={[]: 1}'], "assistance='{[]: 1}'; expected"),
        (['9' * 5000 + 'x a'], '9999 ... members, expected 1 to'),
        (['a, style=slc'], 'has one member, and some options'),
        (['a, name=b, assistance=0'], 'those of composites: assistance; l'),
        (['1x a, style=dhlc, proposals=own'], 'composites: style, proposals'),
        (['frozen:a, shared_stages=None'], 'composites: shared_stages; leave'),
        (['A(depth)'], 'are no arguments'),
        (['A(50)'], '(50) are no arguments; expected one pair of brackets'),
        (['A(*x)'], 'are no arguments'),
        (['A(**{"x": 1})'], 'are no arguments'),
        (['A(depth=50)(x=1)'], '(depth=50)(x=1) are no arguments'),
        (['A(depth=50)#(x=1)'], '(depth=50)#(x=1) are no arguments'),
        (['A(depth=50).b(x=1)'], 'are no arguments'),
        (['A(x={[]: 1})'], 'are no arguments'),
        (['A(x=' + '-' * 200 + 'b)'], 'are no arguments'),
        (['A(x=5, x=6)'], 'A(x=5, x=6) gives x twice, as 5 and as 6'),
        (['a, name='], 'gives the folder of its runs no name'),
        (['a, name=""'], 'gives the folder of its runs no name'),
        ([''], 'is empty'),
        (['gone.yaml'], 'no file gone.yaml'),
        (['frozn:a'], "did you mean 'frozen:'?"),
        (['equal-kost:a'], "did you mean 'equal-cost:'?"),
        (['2x small'], 'small is a preset, which stands for several'),
        (['study, name=x'], 'study is a preset, which stands for several'),
        (['equal-cost:a, name=x'], 'equal-cost: is a preset, which stands'),
        (['2x equal-cost:a'], 'equal-cost: is a preset, which stands for'),
        (['a, name=..'], 'expected a name with a letter'),
        (['a, name=!!!'], 'expected a name with a letter'),
        (['a, name=_'], 'expected a name with a letter'),
        (['a, name=b.val'], 'its configs mixed up with those of another'),
        (['a, name=b.Corrupted'], 'its configs mixed up with those'),
        (['a, name=' + 'b' * 300], '300 bytes, expected 200 or fewer'),
        (['a, name=' + 'ü' * 150], '300 bytes, expected 200 or fewer'),
        (['+'.join(['a' * 90] * 3)], '272 bytes, expected 200 or fewer'),
        (
            ['frozen:A(depth=5)=gone.pth + b'],
            'no file gone.pth; give the weights of A as a file or an '
            'address: A(depth=5)=FILE',
        ),
    ],
)
def test_mistakes(texts, sentence):
    with pytest.raises(UserError) as error:
        read_entries(texts)
    assert sentence in str(error.value)
    assert '\n' not in str(error.value)
    assert len(str(error.value)) < 500


def test_files_of_weights(tmp_path):
    file = tmp_path / 'w.pth'
    file.touch()
    texts = [f'a={file}', 'a=https://x.y/w.pth', 'a=timm://b', 'a']
    assert len(read_entries(texts)) == len(texts)


@pytest.mark.parametrize(
    ('content', 'sentence'),
    [
        ('a: [', 'is no YAML file'),
        ('3', 'expected a list of entries'),
        ('- 3', 'item 1: it is 3'),
        ('- entry: a\n  nam: b', "no option 'nam'; did you mean 'name'"),
        ('- entry: a\n  cfg: 3', 'cfg=3; expected'),
        (
            '- entry: a\n  cfg: {train_dataloader.batch_size: 8}',
            'item 1: cfg: train_dataloader.batch_size belongs to the protocol',
        ),
        (
            '- entry: a\n  cfg: {models.backbone.with_cp: true}',
            'expected keys below model. and optim_wrapper.',
        ),
        *(
            (
                f'- entry: a\n  cfg: {changes}',
                'item 1: cfg: optim_wrapper.optimizer.lr has no effect, '
                'because each run takes its rate from --lrs; give the rates '
                'with --lrs, or factors for parts of the model with '
                'optim_wrapper.paramwise_cfg',
            )
            for changes in RATES
        ),
        *(
            (
                f'- entry: a\n  cfg: {changes}',
                f'item 1: cfg: model.{place} has no effect, because the '
                f'number of classes is that of each data set; leave it out',
            )
            for place, changes in (
                ('bbox_head.num_classes', '{model.bbox_head.num_classes: 8}'),
                (
                    'roi_head.bbox_head.0.num_classes',
                    '{model.roi_head: {bbox_head.0: {num_classes: 8}}}',
                ),
            )
        ),
        ('- a\n- entry: 0x a', 'item 2: --entries'),
        (
            '- entry: 2x a, style=slc\n  style: fcc',
            "gives style twice, as 'slc' and as 'fcc'",
        ),
        (
            '- entry: 2x a\n  style: slc\n  style: slc',
            "list.yml, line 3: 'style' is given twice; leave one",
        ),
        ('- entry: 2x a\n  assistance: {[]: 1}', 'is no YAML file'),
        (
            '- entry: a\n  name: b\n  shared_stages: 1',
            "--entries 'a' has one member, and some options are those of "
            'composites: shared_stages; leave',
        ),
    ],
)
def test_mistakes_in_files(tmp_path, content, sentence):
    (tmp_path / 'list.yml').write_text(content)
    with pytest.raises(UserError) as error:
        read_entries([str(tmp_path / 'list.yml')])
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('resnt50', "'resnt50' is no preset"),
        ('resnt50', "did you mean 'resnet50'"),
        ('ResNt', "did you mean 'ResNet'"),
        ('ResNet', 'has no weights of its own; give its pretrained file with'),
        (
            'ResNet(depth=50)',
            'with ResNet(depth=50)=FILE, or let it start at random: '
            'random:ResNet(depth=50)',
        ),
        ('smal', "did you mean 'small'"),
        ('studi', "did you mean 'study'"),
        ('equal-cost', "did you mean 'equal-cost:'"),
        ('random:ResNet', "needs the argument 'depth'"),
        ('random:xception41', 'cannot be a member'),
        ('random:resnet18(dephth=3)', 'dephth'),
        ('random:levit_128s + random:resnet18', 'has 3 stages'),
    ],
)
def test_unknown_members(text, sentence):
    with pytest.raises(UserError) as error:
        build_backbone(read_entry(text))
    assert sentence in str(error.value)
    assert text in str(error.value)


def test_backbones():
    twin = build_backbone(read_entry('2x test_resnet')).cfg
    assert twin['num_members'] == 2 and twin['shared_stages'] == 1
    assert twin['member']['init_cfg']['checkpoint'] == 'timm://test_resnet'
    assert twin['member']['norm_eval']

    pair = build_backbone(
        read_entry('frozen:test_vit@0.5=vit.pth + random:ResNet(depth=18)')
    )
    vit, lead = pair.cfg['member']
    assert (vit['frozen'], vit['scale']) == (True, 0.5)
    assert vit['backbone']['init_cfg']['checkpoint'] == 'vit.pth'
    assert vit['preprocess'] == 'timm'
    assert lead['init_cfg'] is None and not lead['norm_eval']
    assert pair.cfg['shared_stages'] is None

    single = build_backbone(read_entry('frozen:dinov2-s')).cfg
    assert single['frozen'] and single['num_members'] == 1
    assert single['member']['patch_size'] == 16
