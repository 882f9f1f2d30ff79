"""``python -m cbnet.doctor`` as a command, in environments of its own.

- the installed stack, all well: exit status 0, no finding, every section;
- an old mmdet, a second owner of mmcv, no timm, a setuptools without
  pkg_resources: each one finding with its command, exit status 1, and
  ``import cbnet`` says the first and third in one sentence;
  ``python -m cbnet.doctor`` the same without a traceback;
- a torch that does not load, and a cbnet that does not start: ``import
  cbnet`` names the doctor's command, which names the cause;
- nothing installed; the exit status of ``cbnet doctor``; an unwritable JSON
  file.
"""

from cbnet.compat.versions import DOCTOR

from .reports import only, told


def test_a_good_environment(real):
    environment = real()
    status, text, report = environment.examine()
    assert report['findings'] == [], text
    assert report['good'] is True
    assert status == 0
    assert report['configs'] == {'mmdet::': True, 'cbnet::': True}
    assert report['packages']['mmdet']['version'] == '3.3.0'
    assert report['packages']['mmcv']['distributions'] == ['mmcv-lite']
    assert report['packages']['torch']['error'] is None
    assert report['operators']['nms'] == 'torchvision'
    assert report['operators']['softnms'] == 'torch'
    assert report['operators']['knn_forward'] == 'not served'
    cpu = report['devices'][0]
    assert cpu['name'] == 'cpu' and cpu['error'] is None
    assert cpu['mixed_precision'] == ['bfloat16']
    lines = text.splitlines()
    assert lines[-3:-1] == ['Findings', '  none, all is well']
    for line in ('Packages', 'Operators of mmcv', 'Devices', 'Configs'):
        assert line in lines
    assert any(line.split()[:2] == ['mmdet', '3.3.0'] for line in lines)


def test_a_bad_environment(real):
    environment = real('timm*', 'mmdet-*', 'pkg_resources', 'setuptools-*')
    environment.add_distribution('mmdet', '3.0.0', 'mmdet')
    environment.add_distribution('onedl-mmcv', '2.1.0', 'mmcv')
    environment.add_distribution('setuptools', '84.0.0', 'setuptools')
    status, text, report = environment.examine(CBNET_START='no')
    assert status == 1 and report['good'] is False
    findings = told(report)
    assert set(findings) == {'timm', 'mmdet', 'mmcv', 'setuptools'}, text
    assert {level for level, _, _ in findings.values()} == {'error'}

    level, what, repair = findings['timm']
    assert what == 'cbnet needs timm >= 1.0.26 (found none)'
    assert repair == "pip install 'timm>=1.0.26'"
    level, what, repair = findings['mmdet']
    assert 'mmdet >= 3.3 (found 3.0.0)' in what
    assert str(environment.site) in what
    assert repair == 'pip install mmdet==3.3.0'
    level, what, repair = findings['mmcv']
    assert 'mmcv-lite 2.1.0 and onedl-mmcv 2.1.0 both install' in what
    assert repair == (
        'pip uninstall -y mmcv-lite onedl-mmcv && pip install mmcv-lite==2.1.0'
    )
    level, what, repair = findings['setuptools']
    assert 'pkg_resources' in what and 'setuptools 84.0.0' in what
    assert repair == "pip install 'setuptools<82'"
    for finding in report['findings']:
        assert f'run: {finding["repair"]}\n' in text
    assert any(line.split()[:2] == ['timm', '-'] for line in text.splitlines())

    refusal = (
        'ImportError: cbnet needs timm >= 1.0.26 (found none) and mmdet >= '
        "3.3 (found 3.0.0); run: pip install 'timm>=1.0.26' mmdet==3.3.0 (for "
        f'everything else that is wrong: {DOCTOR})'
    )
    done = environment.run('-c', 'import cbnet')
    assert done.stderr.splitlines()[-1] == refusal
    done = environment.run('-m', 'cbnet.doctor')
    assert done.returncode == 1
    assert done.stderr.count('\n') == 1 and refusal in done.stderr


def test_a_stack_that_does_not_load(fake):
    fake.start_cbnet()
    fake.add_module('torch', "raise OSError('libcudart.so is missing')")
    done = fake.run('-m', 'cbnet.doctor')
    *_, what, remedy = done.stderr.splitlines()
    assert what.endswith('does not start: OSError: libcudart.so is missing')
    assert remedy.endswith(f'run: {DOCTOR}')
    what, _ = only(fake.examine(CBNET_START='no')[2], 'torch')
    assert what.endswith('OSError: libcudart.so is missing')


def test_a_cbnet_that_does_not_start(fake):
    fake.start_cbnet()  # which the fakes do not satisfy
    what, _ = only(fake.examine(CBNET_START='no')[2], 'cbnet')
    assert what == (
        'cbnet does not start: ModuleNotFoundError: No module named '
        "'mmengine.logging'"
    )


def test_nothing_is_installed(environment):
    environment.add_installed('packaging*', 'rich*')
    status, text, report = environment.examine(CBNET_START='no')
    assert status == 1
    findings = told(report)
    assert set(findings) == {
        'numpy', 'torch', 'torchvision', 'timm', 'pycocotools', 'mmengine',
        'mmcv', 'mmdet', 'setuptools',
    }  # fmt: skip
    assert findings['mmcv'][2] == 'pip install mmcv-lite==2.1.0'
    assert 'unknown, because a package does not load' in text
    assert report['operators'] == {} and report['devices'] == []


def test_the_console_command_exits_like_the_module(fake):
    code = 'import sys; from cbnet_command import main; sys.exit(main())'
    assert fake.run('-c', code, 'doctor').returncode == 0
    fake.add_module('timm', 'raise OSError')
    assert fake.run('-c', code, 'doctor').returncode == 1


def test_an_unwritable_json_file(fake, tmp_path):
    done = fake.run('-m', 'cbnet.doctor', '--json', tmp_path / 'no' / 'file')
    assert done.returncode == 2
    assert 'error: --json: ' in done.stderr.splitlines()[-1]
    assert 'Traceback' not in done.stderr
