"""The writer of the model zoo's pages, in a repository of two configs.

1. Writing fills the blocks and leaves the text around them; writing again
   changes nothing.
2. A changed figure, learning rate, row or index, or a new metafile makes
   exactly the affected pages stale, and writing refreshes them.
3. A mistake in a metafile, config or page is reported in one sentence that
   names the file and the entry.
4. Cells: '|' and line breaks are escaped; all three marks, a missing figure
   and a model without AP on COCO are written.
5. The command checks (exit status 1, stale file, what to run) and writes.
"""

import importlib.util
import sys
from pathlib import Path

import pytest
import yaml
from zoo.marked_blocks import fill_blocks
from zoo.pages import PAGES, find_stale, write_pages

TOOL = Path(__file__).parents[2] / 'tools' / 'misc' / 'model_zoo.py'
META = 'configs/own/metafile.yml'
INDEX, README, DOCS = 'model-index.yml', 'README.md', 'docs/model_zoo.md'

CONFIG = """\
model = dict(backbone=dict(member=dict(type='Any'), num_members={members}))
pipeline = [dict(type='mmdet.Resize', scale=(1333, 800))]
train_dataloader = dict(
    batch_size=2, dataset=dict(dataset=dict(pipeline=pipeline))
)
test_dataloader = dict(dataset=dict(pipeline=pipeline))
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.02))
train_cfg = dict(max_epochs=12)
auto_scale_lr = dict(base_batch_size=16)
"""
METAFILE = """\
Sources:
  paper: {Text: a paper, URL: https://example.org}
  here: {Text: a run}
Collections:
  - {Name: Own, Metadata: {Training Data: COCO}}
Models:
  - Name: dual
    Config: configs/own/dual.py
    Metadata: {Detector: Any, Member: Small, Pretrained On: nothing,
               Featured: true}
    Results:
      - {Mark: published, Source: paper, Dataset: COCO-val2017,
         Metrics: {box AP: 58.0}}
      - {Mark: converted, Source: here, Dataset: COCO-test-dev,
         Metrics: {box AP: 57.9}}
      - {Mark: measured, Source: here, Dataset: COCO, Where: a GPU,
         Metrics: {memory (GB): 12.5}}
    Reports:
      - {Metric: box AP, Value: 50.0, Mark: published, Source: paper,
         Remark: "a | b\\nc"}
  - Name: single
    Config: configs/own/single.py
    Metadata: {Twin Of: dual}
"""


@pytest.fixture
def root(tmp_path):
    for folder in ('configs/own', 'docs'):
        (tmp_path / folder).mkdir(parents=True)
    for name, members in (('dual', 2), ('single', 1)):
        path = tmp_path / 'configs' / 'own' / f'{name}.py'
        path.write_text(CONFIG.format(members=members))
    (tmp_path / META).write_text(METAFILE)
    for page, blocks in PAGES.items():
        text = ''.join(
            f'before {name}\n<!-- model zoo: {name} -->\n'
            f'<!-- end of model zoo: {name} -->\nafter {name}\n'
            for name in blocks
        )
        (tmp_path / page).write_text(text)
    return tmp_path


@pytest.fixture
def written(root):
    assert set(write_pages(root)) == {INDEX, README, DOCS}
    return root


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the tool in this process; give its exit status and output."""
    spec = importlib.util.spec_from_file_location('model_zoo_tool', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)

    def call(*arguments):
        monkeypatch.setattr(
            sys, 'argv', ['model_zoo.py', *map(str, arguments)]
        )
        status, said = 0, ''
        try:
            tool.main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
            said = end.code if isinstance(end.code, str) else ''
        output = capsys.readouterr()
        return status, output.out + output.err + said

    return call


def replace(path, old, new):
    text = path.read_text(encoding='utf-8')
    assert old in text
    path.write_text(text.replace(old, new), encoding='utf-8')


def test_writing_twice_changes_nothing_more(written):
    before = {p: (written / p).read_bytes() for p in (INDEX, README, DOCS)}
    assert write_pages(written) == []
    assert find_stale(written) == {}
    assert before == {p: (written / p).read_bytes() for p in before}
    for page, blocks in PAGES.items():
        text = (written / page).read_text(encoding='utf-8')
        for name in blocks:
            assert f'before {name}\n<!-- model zoo: {name} -->\n' in text
            assert f'<!-- end of model zoo: {name} -->\nafter {name}\n' in text


def test_cells(written):
    readme = (written / README).read_text(encoding='utf-8')
    assert (
        '| [`dual`](configs/own/dual.py) | Any, 2 x Small | 58.0ᵖ / 57.9ᶜ | - '
        '| - | - |\n'
    ) in readme
    assert 'single' not in readme
    docs = (written / DOCS).read_text(encoding='utf-8')
    assert '| SGD | 0.02 | 8 x 2 = 16 | 12 | 1333 x 800 | 1333 x 800 |' in docs
    assert '12.5 GB' in docs
    assert (
        '| [`single`](../configs/own/single.py) | twin of `dual` | - | - | - '
        '| - | - | - |\n'
    ) in docs
    assert r'| box AP | 50.0ᵖ¹ | a \| b c |' in docs
    assert '1. a paper: <https://example.org>\n2. a run\n' in docs
    index = yaml.safe_load((written / INDEX).read_text())
    assert index == {'Import': [META]}


@pytest.mark.parametrize(
    ('file', 'old', 'new', 'stale'),
    [
        (META, '58.0', '58.1', {README, DOCS}),
        (META, 'converted', 'measured', {README, DOCS}),
        (META, 'a run', 'two runs', {DOCS}),
        ('configs/own/dual.py', 'lr=0.02', 'lr=0.0001', {DOCS}),
        (README, '58.0', '68.0', {README}),
        (DOCS, 'twin of', 'son of', {DOCS}),
        (INDEX, 'own', 'other', {INDEX}),
    ],
)
def test_stale_pages(written, file, old, new, stale):
    replace(written / file, old, new)
    assert set(find_stale(written)) == stale
    assert set(write_pages(written)) == stale
    assert find_stale(written) == {}
    if 'lr' in old:
        assert '| 1e-4 |' in (written / DOCS).read_text(encoding='utf-8')


def test_a_new_metafile(written):
    folder = written / 'configs' / 'more'
    folder.mkdir()
    (folder / 'metafile.yml').write_text('Models: []\n')
    assert set(find_stale(written)) == {INDEX}
    (written / INDEX).unlink()
    write_pages(written)
    index = yaml.safe_load((written / INDEX).read_text())
    assert index['Import'] == ['configs/more/metafile.yml', META]


@pytest.mark.parametrize(
    ('file', 'old', 'new', 'message'),
    [
        (META, 'Mark: converted, ', '', 'dual, box AP: Mark is missing'),
        (META, 'converted', 'conveted', "did you mean 'converted'"),
        (META, 'Source: here', 'Source: there', "Source 'there' is none of"),
        (META, 'box AP: 58', 'boxAP: 58', "did you mean 'box AP'"),
        (META, '58.0', 'high', "dual, box AP: 'high' is not a number"),
        (META, 'test-dev', 'val2017', 'dual: two of box AP on COCO-val2017'),
        (META, 'Twin Of: dual', 'Twin Of: daul', "did you mean 'dual'"),
        (META, 'Twin Of: dual', 'Twin Of: single', 'derived from itself'),
        (META, 'Name: single', 'Name: solo', 'solo: its Name is not that of'),
        (META, '      - {', '      {', 'configs/own/metafile.yml: while'),
        (
            META,
            METAFILE[METAFILE.index('  - Name: single') :],
            '',
            'configs/own/metafile.yml: configs/own/single.py has no entry',
        ),
        ('configs/own/dual.py', '=16', '=15', 'base_batch_size is 15'),
        (README, '<!-- end of model zoo: models -->', '', 'README.md: expect'),
    ],
)
def test_mistakes(root, run, file, old, new, message):
    replace(root / file, old, new)
    status, output = run('--root', root)
    assert status == 2
    assert message in output.splitlines()[-1] or message in output
    assert 'Traceback' not in output


def test_an_entry_without_its_config(root, run):
    (root / 'configs' / 'own' / 'single.py').unlink()
    status, output = run('--root', root)
    assert status == 2
    assert 'single: there is no configs/own/single.py' in output


def test_a_folder_without_metafiles(tmp_path, run):
    status, output = run('--root', tmp_path)
    assert status == 2
    assert 'there is no configs/*/metafile.yml in' in output


def test_blocks_the_wrong_way_round():
    with pytest.raises(ValueError, match='stands before'):
        fill_blocks('<!-- end of a -->\n<!-- a -->\n', {'a': 'text'})


def test_the_command(root, run):
    status, output = run('--root', root, '--check')
    assert status == 1
    assert 'README.md is stale' in output
    assert 'run: python tools/misc/model_zoo.py' in output
    assert '58.0' not in (root / README).read_text()
    status, output = run('--root', root)
    assert status == 0 and 'wrote docs/model_zoo.md' in output
    for arguments in (('--check',), ()):
        status, output = run('--root', root, *arguments)
        assert status == 0 and 'is up to date' in output
