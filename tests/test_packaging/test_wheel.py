"""What is built from the source tree.

- the wheel holds the package, configs, tools and model index, no leftovers;
- an sdist builds the same wheel;
- an editable build links instead of copying and leaves no copy behind;
- from an installed wheel, in another folder, the config prefixes `mmdet::`
  and `cbnet::` resolve, a model of a `cbnet::` config is built, every command
  gives its help, and some do their work;
- the model index leads to configs that exist.
"""

import os
import zipfile
from email.parser import Parser

import pytest
import yaml
from build import ProjectBuilder
from packaging.requirements import Requirement
from packaging.version import Version

from cbnet.commands.main import COMMANDS
from cbnet.version import __version__


def contents(wheel):
    """Give name -> bytes of a wheel's files, apart from its own record."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            name: archive.read(name)
            for name in archive.namelist()
            if not name.endswith('/RECORD')
        }


@pytest.fixture
def run_installed(installed, run_python, tmp_path):
    """Run Python in an empty folder, with the installed wheel in its path."""
    environment = {
        **os.environ,
        'PYTHONPATH': str(installed),
        'PYTHONWARNINGS': 'ignore',
    }

    def run(*arguments):
        return run_python(*arguments, cwd=tmp_path, env=environment)

    return run


def test_wheel_holds_the_package_and_mim(wheel, source):
    files = contents(wheel)
    expected = {
        path.relative_to(source).as_posix()
        for path in (source / 'cbnet').rglob('*.py')
    }
    for folder in ('configs', 'tools'):
        expected |= {
            f'cbnet/.mim/{path.relative_to(source).as_posix()}'
            for path in (source / folder).rglob('*')
            if path.is_file()
        }
    expected |= {'cbnet/.mim/model-index.yml', 'cbnet/py.typed'}
    expected.add('cbnet_command.py')
    expected.add('cbnet/battle/report.html.j2')
    found = {name for name in files if '.dist-info/' not in name}
    assert found == expected
    name = 'cbnet/.mim/tools/train.py'
    assert files[name] == (source / 'tools' / 'train.py').read_bytes()
    assert not (source / 'cbnet' / '.mim').exists()
    with zipfile.ZipFile(wheel) as archive:
        script = archive.getinfo('cbnet/.mim/tools/dist_train.sh')
    assert (script.external_attr >> 16) & 0o100  # it can be executed


def test_wheel_metadata(wheel):
    files = contents(wheel)
    info = f'cbnet-{__version__}.dist-info'
    metadata = Parser().parsestr(files[f'{info}/METADATA'].decode())
    assert metadata['Name'] == 'cbnet'
    assert metadata['Version'] == __version__
    assert metadata['Requires-Python'] == '>=3.10'
    assert any(name.startswith(info) and 'LICENSE' in name for name in files)
    needed = [Requirement(text) for text in metadata.get_all('Requires-Dist')]
    bound = {r.name: r.specifier for r in needed}
    # the last setuptools with pkg_resources, and the first without
    assert Version('81.0.0') in bound['setuptools']
    assert Version('82.0.0') not in bound['setuptools']
    pinned = {
        r.name: str(r.specifier)
        for r in needed
        if r.marker and r.marker.evaluate({'extra': 'openmmlab'})
    }
    assert pinned == {
        'mmengine': '==0.10.7',
        'mmdet': '==3.3.0',
        'mmcv-lite': '==2.1.0',
    }


def test_sdist_builds_the_same_wheel(source, wheel, build_wheel, tmp_path):
    sdist = ProjectBuilder(source).build('sdist', tmp_path / 'sdist')
    again = build_wheel(sdist, tmp_path)
    assert contents(again) == contents(wheel)


def test_editable_build_links(source, wheel, run_python, tmp_path):
    ProjectBuilder(source).build('editable', tmp_path)
    mim = source / 'cbnet' / '.mim'
    try:
        for name in ('configs', 'tools', 'model-index.yml'):
            assert (mim / name).is_symlink()
            assert (mim / name).resolve() == (source / name).resolve()
            assert not os.path.isabs(os.readlink(mim / name))
        ProjectBuilder(source).build('editable', tmp_path)  # and once more
        # the links stay out of a wheel built beside them
        rebuilt = ProjectBuilder(source).build('wheel', tmp_path)
        assert contents(rebuilt) == contents(wheel)
        config = tmp_path / 'own.py'
        config.write_text("_base_ = 'cbnet::cbnet/quickstart.py'\n")
        run_python(
            '-c',
            'import sys, cbnet; from mmengine.config import Config;'
            'assert Config.fromfile(sys.argv[1]).model',
            config,
            cwd=tmp_path,
            env={**os.environ, 'PYTHONPATH': str(source)},
        )
    finally:
        for link in mim.iterdir():
            link.unlink()
        mim.rmdir()


INSTALLED = """\
import runpy
import sys
from pathlib import Path

import cbnet
from mmengine.config import Config
from mmdet.registry import MODELS

installed, folder = map(Path, sys.argv[1:])
assert Path(cbnet.__file__).parent == installed / 'cbnet', cbnet.__file__

plain = Config.fromfile(folder / 'plain.py')
assert plain.model.type == 'MaskRCNN', plain.model

own = Config.fromfile(folder / 'own.py')
# mmengine marks with `cbnet` whatever no deeper base has marked before
assert own.optim_wrapper._scope_ == 'cbnet', own.optim_wrapper
own.model._scope_ = 'cbnet'
del own.model.backbone.member.init_cfg
model = MODELS.build(own.model)
print(type(model).__name__, type(model.backbone).__name__)

from cbnet.commands.main import COMMANDS, main

for name in COMMANDS:
    try:
        main([name, '--help'])
    except SystemExit as end:
        assert not end.code, name
main(['compose', 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'])
main(['get-flops', 'cbnet::cbnet/quickstart.py', '--shape', '64'])

for script in ('bin/cbnet', 'cbnet/.mim/tools/train.py'):
    sys.argv = [script.rpartition('/')[2], '--help']
    try:
        runpy.run_path(str(installed / script), run_name='__main__')
    except SystemExit as end:
        assert not end.code, script
"""


def test_an_installed_wheel_works_elsewhere(
    installed, run_installed, tmp_path
):
    for name, base in (
        ('plain', 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'),
        ('own', 'cbnet::cbnet/quickstart.py'),
    ):
        (tmp_path / f'{name}.py').write_text(f'_base_ = {base!r}\n')
    output = run_installed('-c', INSTALLED, installed, tmp_path)
    assert 'AssistedMaskRCNN CompositeBackbone' in output
    for name in COMMANDS:
        assert f'usage: cbnet {name}' in output
    assert 'built: AssistedRetinaNet, 2 x ResNet, style dhlc' in output
    assert (tmp_path / 'dual_retinanet_r50_fpn_1x_coco.py').is_file()
    assert '64 x 64 (height x width), one image' in output
    assert 'usage: cbnet COMMAND' in output
    assert 'usage: train.py CONFIG' in output


def test_model_index_leads_to_configs(installed):
    mim = installed / 'cbnet' / '.mim'
    index = yaml.safe_load((mim / 'model-index.yml').read_text())
    models = [
        model
        for name in index['Import']
        for model in yaml.safe_load((mim / name).read_text())['Models']
    ]
    assert models
    for model in models:
        assert (mim / model['Config']).is_file(), model
