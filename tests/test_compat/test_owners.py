"""The distributions that own a package.

Scenarios: found through top_level.txt, RECORD or the name; not found
for a file that only looks similar; the order of sys.path, what one folder
hides, what overwrites; one distribution in two versions; a folder twice
in sys.path; folders of pip without metadata.
"""

import sys

import pytest

from cbnet.compat.owners import every_owner, in_use


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two folders, the first ahead of the second in sys.path."""
    made = [tmp_path / 'first', tmp_path / 'second']
    for folder in made:
        folder.mkdir()
    monkeypatch.setattr(sys, 'path', [*map(str, made), str(made[0])])
    return made


def install(folder, name, version, **files):
    info = folder / f'{name.replace("-", "_")}-{version}.dist-info'
    info.mkdir()
    metadata = f'Name: {name}\nVersion: {version}\n'
    (info / 'METADATA').write_text(metadata)
    for file, text in files.items():
        name = {'record': 'RECORD', 'top_level': 'top_level.txt'}[file]
        (info / name).write_text(text)


def names(owners):
    return [f'{owner} {owner.folder.name}' for owner in owners]


def test_by_record_and_by_top_level(folders):
    install(folders[0], 'one', '1', record='mmcv/__init__.py,,\n')
    install(folders[0], 'two', '2', top_level='other\nmmcv\n')
    record = 'x/mmcv/__init__.py,,\nmmcv/ops.py,,\nmmcvx/__init__.py,,\n'
    install(folders[0], 'three', '3', record=record, top_level='mmcv_x\n')
    owners = every_owner(['mmcv', 'cv2'])
    assert sorted(names(owners['mmcv'])) == ['one 1 first', 'two 2 first']
    assert owners['cv2'] == []


def test_hidden_and_overwritten(folders):
    record = 'mmcv/__init__.py,,\n'
    install(folders[1], 'mmcv', '2.2.0', record=record)
    install(folders[1], 'mmcv-lite', '2.1.0', record=record)
    found = every_owner(['mmcv'])['mmcv']
    both = ['mmcv 2.2.0 second', 'mmcv-lite 2.1.0 second']
    assert sorted(names(found)) == names(in_use(found)) == both
    install(folders[0], 'onedl-mmcv', '2.3', record=record)
    found = every_owner(['mmcv'])['mmcv']
    assert sorted(names(found)) == sorted(['onedl-mmcv 2.3 first', *both])
    assert names(in_use(found)) == ['onedl-mmcv 2.3 first']


def test_first_of_one_distribution(folders):
    # Some editable installs list no packages: the name is enough.
    install(folders[0], 'mmdet', '3.0.0')
    install(folders[1], 'mmdet', '3.3.0')
    found = every_owner(['mmdet'])['mmdet']
    assert names(found) == ['mmdet 3.0.0 first', 'mmdet 3.3.0 second']
    assert names(in_use(found)) == ['mmdet 3.0.0 first']


def test_one_distribution_in_two_versions(folders):
    install(folders[0], 'mmcv-lite', '2.1.0', top_level='mmcv\n')
    install(folders[0], 'mmcv_lite', '2.0.0', top_level='mmcv\n')
    assert len(every_owner(['mmcv'])['mmcv']) == 2
    assert len(in_use(every_owner(['mmcv'])['mmcv'])) == 1


def test_leftovers_of_pip(folders):
    (folders[0] / 'mmdet-3.3.0.dist-info').mkdir()
    (folders[0] / 'mmcv-2.1.0.dist-info').mkdir()
    top_level = folders[0] / 'mmcv-2.1.0.dist-info' / 'top_level.txt'
    top_level.write_text('mmcv\n')
    assert every_owner(['mmcv', 'mmdet']) == {'mmcv': [], 'mmdet': []}
