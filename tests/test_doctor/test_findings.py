"""What the doctor finds, in stacks of fakes.

One finding a cause, nothing about what fails as a consequence: a torch that
ends the process; a compiled mmcv, and a torchvision, for another torch; a
module for another numpy; files that are gone, of another version, or lack a
dependency; what PYTHONPATH hides, and a broken copy in it; config prefixes,
and the pkg_resources that they need; devices; two builds of cv2; packages
that print.
"""

import importlib.machinery
import json
import shutil

import pytest

from .reports import only, told


def test_a_stack_of_fakes(fake):
    status, text, report = fake.examine()
    assert told(report) == {} and status == 0, text
    assert report['operators'] == {'nms': 'compiled', 'softnms': 'not served'}
    lines = [line.split() for line in text.splitlines()]
    assert ['compiled', 'nms'] in lines
    assert ['not', 'served', 'softnms'] in lines


def test_a_piece_that_ends_the_process(fake):
    fake.add_module('torch', 'import os, signal\nos.kill(os.getpid(), 11)\n')
    status, text, report = fake.examine()
    what, repair = only(report, 'torch')
    assert what == 'torch 2.15.0 does not load: ends the process with SIGSEGV'
    assert repair == 'pip install --force-reinstall --no-deps torch==2.15.0'
    assert report['packages']['timm']['error'] is None  # tried afterwards
    assert status == 1


def test_a_piece_that_exits(fake):
    fake.add_module('numpy', "raise SystemExit('no licence')\n")
    what, _ = only(fake.examine()[2], 'numpy')
    assert what.endswith('ends the process: no licence')


def test_a_compiled_mmcv_for_another_torch(fake):
    fake.add_distribution('mmcv', '2.1.0', 'mmcv')
    shutil.rmtree(fake.site / 'mmcv_lite-2.1.0.dist-info')
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    (fake.site / 'mmcv' / f'_ext{suffix}').write_text('not for this torch')
    status, text, report = fake.examine()
    what, repair = only(report, 'mmcv.ops')
    assert 'the compiled module of mmcv does not load' in what
    assert 'another torch or CUDA than torch 2.15.0: ImportError' in what
    assert repair == 'pip uninstall -y mmcv && pip install mmcv-lite==2.1.0'
    assert status == 1


def test_a_torchvision_for_another_torch(fake):
    fake.add_module(
        'torchvision', "raise RuntimeError('operator nms does not exist')\n"
    )
    what, repair = only(fake.examine()[2], 'torchvision')
    assert what == (
        'torchvision 0.30.0 does not work with torch 2.15.0: '
        'RuntimeError: operator nms does not exist'
    )
    assert repair == (
        'pip install --force-reinstall torch==2.15.0 torchvision==0.30.0'
    )
    # and if its metadata says for which torch it was built
    shutil.rmtree(fake.site / 'torchvision-0.30.0.dist-info')
    fake.add_distribution(
        'torchvision', '0.30.0', 'torchvision', ['torch==2.16.0']
    )
    what, repair = only(fake.examine()[2], 'torchvision')
    assert what == (
        'torchvision 0.30.0 is built for torch==2.16.0, found torch 2.15.0'
    )
    assert repair == 'pip install --upgrade torch==2.15.0 torchvision'


def test_a_module_for_another_numpy(fake):
    mask = fake.site / 'pycocotools' / 'mask.py'
    message = 'numpy.dtype size changed, may indicate binary incompatibility'
    mask.write_text(f'raise ValueError({message!r})\n')
    # what needs no pycocotools fails for its own reasons
    findings = told(fake.examine()[2])
    level, what, repair = findings['pycocotools']
    assert 'is built for another numpy than 2.0: ValueError' in what
    assert repair == (
        'pip install --upgrade --force-reinstall --no-deps pycocotools'
    )
    assert not {'mmdet', 'cbnet', 'cbnet::', 'mmdet::'} & set(findings)
    # numpy itself is not built for another numpy
    fake.add_module(
        'numpy', "raise ImportError('multiarray failed to import')"
    )
    what, repair = only(fake.examine()[2], 'numpy')
    assert what.startswith('numpy 2.0 does not load: ImportError')
    assert repair == 'pip install --force-reinstall --no-deps numpy==2.0'


@pytest.mark.parametrize(
    ('code', 'said', 'command'),
    [
        (None, 'its files are gone', '--force-reinstall --no-deps mmcv-lite'),
        ('import addict', "No module named 'addict'", 'mmcv-lite==2.1.0'),
        ("__version__ = '2.2.0'", 'are of version 2.2.0', '--force-reinstall'),
        ('import mmcv.image', 'its files are gone', '--force-reinstall'),
        ('import mmcv_more', "No module named 'mmcv_more'", 'mmcv-lite==2.1'),
    ],
)
def test_files_that_are_not_those_installed(fake, code, said, command):
    if code is None:
        shutil.rmtree(fake.site / 'mmcv')
    else:
        fake.add_module('mmcv', code)
    what, repair = only(fake.examine()[2], 'mmcv')
    assert said in what
    assert repair.startswith('pip install ') and command in repair
    # pip brings what is missing only where it may look at dependencies
    assert ('--no-deps' in repair) == ('No module' not in said)


def test_packages_that_print(fake):
    code = 'print("1")\nimport os\nos.write(1, b"[2]")\nraise ValueError("no")'
    fake.add_module('numpy', code)
    what, _ = only(fake.examine()[2], 'numpy')
    assert what == 'numpy 2.0 does not load: ValueError: no'


def test_builds_of_cv2_are_a_warning(fake):
    fake.add_distribution('opencv-python', '5.0', 'cv2')
    fake.add_distribution('opencv-python-headless', '5.0', 'cv2')
    level, what, repair = told(fake.examine()[2])['cv2']
    assert level == 'warning'
    assert 'opencv-python 5.0 and opencv-python-headless 5.0' in what
    assert repair == (
        'pip uninstall -y opencv-python opencv-python-headless '
        '&& pip install opencv-python'
    )


def test_pythonpath_hides_what_fits(fake, tmp_path, environment):
    first, second = tmp_path / 'first', tmp_path / 'second'
    (first / 'mmdet-3.0.0.dist-info').mkdir(parents=True)
    fields = 'Name: mmdet\nVersion: 3.0.0\n'
    (first / 'mmdet-3.0.0.dist-info' / 'METADATA').write_text(fields)
    top_level = first / 'mmdet-3.0.0.dist-info' / 'top_level.txt'
    top_level.write_text('mmdet\n')
    (first / 'mmdet').mkdir()
    (first / 'mmdet' / '__init__.py').touch()
    what, repair = only(fake.examine(PYTHONPATH=str(first))[2], 'mmdet')
    assert f'found 3.0.0), in {first}' in what
    assert f'it hides mmdet 3.3.0 in {fake.site}' in what
    assert repair == 'unset PYTHONPATH'
    report = fake.examine(PYTHONPATH=f'{first}:{second}')[2]
    _, repair = only(report, 'mmdet')
    assert repair == f"export PYTHONPATH='{second}'"
    shutil.rmtree(fake.site / 'mmdet-3.3.0.dist-info')
    _, repair = only(fake.examine(PYTHONPATH=str(first))[2], 'mmdet')
    assert repair == 'unset PYTHONPATH && pip install mmdet==3.3.0'


def test_a_broken_copy_in_pythonpath(fake, tmp_path):
    first = tmp_path / 'first'
    info = first / 'timm-2.0.dist-info'
    info.mkdir(parents=True)
    (info / 'METADATA').write_text('Name: timm\nVersion: 2.0\n')
    (first / 'timm').mkdir()
    (first / 'timm' / '__init__.py').write_text('1 / 0')
    _, repair = only(fake.examine(PYTHONPATH=str(first))[2], 'timm')
    assert repair == 'unset PYTHONPATH'  # uncovers a copy that works
    (hidden,) = fake.site.glob('timm-*.dist-info')
    shutil.rmtree(hidden)
    _, repair = only(fake.examine(PYTHONPATH=str(first))[2], 'timm')
    assert repair == (
        'unset PYTHONPATH && pip install --force-reinstall --no-deps timm==2.0'
    )


def test_a_pkg_resources_that_does_not_load(fake):
    fake.add_module('pkg_resources', 'import packaging.nothing')
    what, repair = only(fake.examine()[2], 'setuptools')
    assert 'found setuptools 80.0.0: ModuleNotFoundError' in what
    assert repair == "pip install 'setuptools<82'"


NO_CBNET = """\
class Config:
    @staticmethod
    def fromfile(path):
        if 'cbnet::' in path.read_text():
            raise FileNotFoundError('no .mim')
"""


def test_prefixes(fake):
    config = fake.site / 'mmengine' / 'config.py'
    config.write_text('class Config:\n    def fromfile(a): 1 / 0\n')
    what, repair = only(fake.examine()[2], 'mmdet')
    assert what.startswith('configs mmdet:: do not resolve: ZeroDivision')
    assert repair == 'pip install --force-reinstall --no-deps mmdet==3.3.0'
    config.write_text(NO_CBNET)
    status, text, report = fake.examine()
    what, repair = only(report, 'cbnet::')
    assert 'configs cbnet:: do not resolve: FileNotFoundError' in what
    assert repair.startswith('pip install --force-reinstall --no-deps cbnet==')
    assert status == 1
    assert ['cbnet::', 'does', 'not', 'resolve'] in [
        line.split() for line in text.splitlines()
    ]
    # installed from a wheel, or from git
    (info,) = fake.site.glob('cbnet-*.dist-info')
    source = dict(url='file:///cbnet.whl')
    (info / 'direct_url.json').write_text(json.dumps(source))
    _, repair = only(fake.examine()[2], 'cbnet::')
    assert repair.endswith('--no-deps file:///cbnet.whl')
    source = dict(url='https://host/cbnet', vcs_info=dict(vcs='git'))
    (info / 'direct_url.json').write_text(json.dumps(source))
    _, repair = only(fake.examine()[2], 'cbnet::')
    assert repair.endswith('--no-deps git+https://host/cbnet')
    # a clone that nobody installed
    shutil.rmtree(info)
    (fake.site / 'setup.py').touch()
    status, text, report = fake.examine()
    level, what, repair = told(report)['cbnet::']
    assert level == 'warning' and status == 0
    assert repair == f"pip install --no-deps -e '{fake.site}'"


def test_devices(fake, tmp_path):
    (tmp_path / 'nvidia-smi').touch(mode=0o755)
    report = fake.examine(PATH=str(tmp_path))[2]
    level, what, repair = told(report)['cuda']
    assert level == 'warning' and 'a build without CUDA' in what
    assert repair == 'pip install --force-reinstall torch torchvision'
    hidden = fake.examine(PATH=str(tmp_path), CUDA_VISIBLE_DEVICES='')[2]
    assert told(hidden) == {}
    torch = fake.site / 'torch' / '__init__.py'
    code = torch.read_text()
    torch.write_text(
        code + "version.cuda = '13.2'\ndef init(): raise RuntimeError('old')\n"
        'cuda.init = init\n'
    )
    level, what, repair = told(fake.examine(PATH=str(tmp_path))[2])['cuda']
    assert level == 'warning' and repair == 'nvidia-smi'
    assert what.endswith('use it: old; update the driver to one for CUDA 13.2')
    torch.write_text(code + 'def ones(*a, device): raise RuntimeError("no")')
    what, repair = only(fake.examine()[2], 'cpu')
    assert what.endswith('does not compute: no')
    torch.write_text(code + 'del get_num_threads')
    what, repair = only(fake.examine()[2], 'torch')
    assert 'get_num_threads' in what
