"""The config text inside a checkpoint: read as data, checked, not executed.

1. assignments of literals, as mmengine writes them, come back; the text of
   composites and of mmdet's own configs too, equal to the config;
2. everything else is refused with its line, and is not executed;
3. literals whose names lead to code are refused: paths that a registry would
   import, scopes, text that mmcv or mmdet evaluate, config files, datasets
   that open files;
4. imports that the text asks for are reported, not made.
"""

import sys
from pathlib import Path

import mmdet
import pytest
from mmengine import Config

from cbnet.compat import literal_config
from cbnet.compat.config_names import check_names
from cbnet.compat.literal_config import read_literals
from cbnet.errors import UnsafeCheckpointError

MMDET = Path(mmdet.__file__).parent / '.mim/configs'
OURS = Path(__file__).parents[2] / 'configs'


def read(text):
    return Config.fromstring(text, '.py')


def test_literals():
    values = read_literals(
        "a = 1\nb = -1.5e3\nc = ('x', None, True)\nd = []\n"
        "e = dict(f=dict(g=[dict(h=2)]))\ni = {'j.k': {1: (2,)}}\n"
        "l = dict({'m.n': dict(o=-1)}, p=3)\nq = dict()\nr = '{{ t }}'\n"
        'a = 2\n'
    )
    assert values == {
        'a': 2,
        'b': -1500.0,
        'c': ('x', None, True),
        'd': [],
        'e': {'f': {'g': [{'h': 2}]}},
        'i': {'j.k': {1: (2,)}},
        'l': {'m.n': {'o': -1}, 'p': 3},
        'q': {},
        'r': '{{ t }}',
    }


@pytest.mark.parametrize(
    'config',
    [
        OURS / 'cbnet/quickstart.py',
        MMDET / 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
        MMDET / 'htc/htc_r50_fpn_20e_coco.py',
        MMDET.joinpath(
            'mask2former',
            'mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco-panoptic.py',
        ),
        MMDET / 'rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py',
        MMDET / 'pascal_voc/retinanet_r50_fpn_1x_voc0712.py',
        MMDET / 'dino/dino-4scale_r50_8xb2-12e_coco.py',
    ],
    ids=lambda path: path.stem[:30],
)
def test_what_mmengine_writes_comes_back(config):
    cfg = Config.fromfile(config)
    assert read(cfg.pretty_text).to_dict() == cfg.to_dict()


@pytest.mark.parametrize(
    'text',
    [
        'open({marker!r}, "w")',
        'x = open({marker!r}, "w")',
        'x = [dict(y=open({marker!r}, "w"))]',
        'x = dict(y=1, **open({marker!r}, "w"))',
        'x = dict(open({marker!r}, "w"))',
        'x = dict({{**open({marker!r}, "w")}})',
        'x = {{open({marker!r}, "w"): 1}}',
        'x = __import__("os").mkdir({marker!r})',
        'x = "".join([open({marker!r}, "w")])',
        'x = (lambda: open({marker!r}, "w"))()',
        'x = [open(y, "w") for y in [{marker!r}]]',
        'x = f"{{open({marker!r}, chr(119))}}"',
        'x: open({marker!r}, "w") = 1',
        'x = y = open({marker!r}, "w")',
        'x.y = open({marker!r}, "w")',
        'import os; os.mkdir({marker!r})',
        'from os import *',
        'if True:\n    open({marker!r}, "w")',
        'def x(y=open({marker!r}, "w")): pass',
        '@open({marker!r}, "w")\nclass X: pass',
        'dict = open\nx = dict({marker!r}, "w")',
        'x = "{{{{$X:"+open({marker!r},chr(119))}}}}',
        'x = 1 +',
        'x = ' + '[' * 5000,
        'x = ' + '-' * 100000 + '1',
        'x = \0',
    ],
    ids=lambda text: text[:30].encode('unicode_escape').decode(),
)
def test_other_text_is_refused(tmp_path, text):
    marker = tmp_path / 'marker'
    with pytest.raises(UnsafeCheckpointError, match='never executed'):
        read(text.format(marker=str(marker)))
    assert not marker.exists()


def test_an_error_says_where():
    with pytest.raises(UnsafeCheckpointError, match=r'line 3: os\.getcwd\(\)'):
        read('a = 1\n\nb = [os.getcwd()]')


def test_templates_and_variables_are_text(monkeypatch):
    monkeypatch.setenv('SECRET', 'told')
    text = "a = '{{ fileDirname }}'\nb = '{{$SECRET:x}}'"
    assert read(text).to_dict() == dict(
        a='{{ fileDirname }}', b='{{$SECRET:x}}'
    )


@pytest.mark.parametrize(
    'values',
    [
        dict(type='os.system', command='true'),
        dict(type='io.open'),
        dict(type='subprocess.Popen'),
        dict(type='mmengine.load', file='x.pkl'),
        dict(type='mmdet.models.MaskRCNN'),
        dict(type='antigravity'),
        dict(type='importable'),
        dict(type='importable.MaskRCNN'),
        dict(type='__main__.x'),
        dict(type="__import__('os').getcwd()"),
        dict(type='AssistedDetector', base='importable.x'),
        dict(constructor='importable'),
        dict(_scope_='importable'),
        dict(default_scope='importable'),
        dict(warp_mode="__import__('os').getcwd()"),
        dict(teacher_config='teacher.py'),
        dict(_base_='other.py'),
        dict(type='TimmBackbone', checkpoint_path='net.pth'),
        dict(type='TimmBackbone', pretrained_cfg=dict(file='net.pth')),
        dict(pretrained_cfg_overlay=dict(url='http://host/net.pth')),
        dict(pretrained_model_args=dict(checkpoint_path='net.pth')),
        dict(cache_dir='folder'),
        dict(model_name='hf-hub:owner/net'),
        dict(model_name='HF_HUB:owner/net'),
        dict(model_name='local-dir:folder'),
        dict(teacher_ckpt='http://host/net.pth'),
    ],
    ids=str,
)
def test_names_that_lead_to_code(tmp_path, monkeypatch, values):
    (tmp_path / 'importable').mkdir()
    (tmp_path / 'importable/__init__.py').write_text('raise SystemError')
    monkeypatch.syspath_prepend(tmp_path)
    for given in (values, dict(a=[dict(b=(values,))])):
        with pytest.raises(ValueError, match='would'):
            check_names(given)


@pytest.mark.parametrize(
    'values',
    [
        dict(type='MaskRCNN'),
        dict(type='mmdet.MaskRCNN', _scope_='cbnet'),
        dict(type='cbnet.CompositeBackbone', default_scope='mmdet'),
        dict(type='mmengine.DefaultSampler'),
        dict(type='torchvision/Resize'),
        dict(type='NoSuchThing'),
        dict(type='nms'),
        dict(warp_mode='cv2.MOTION_EUCLIDEAN'),
        dict(base=2, type=None),
        dict(model_name='resnet50.a1_in1k', pretrained=True),
        dict(type='TimmBackbone', checkpoint_path='', pretrained_cfg=None),
        dict(init_cfg=dict(type='Pretrained', checkpoint='torchvision://x')),
    ],
    ids=str,
)
def test_harmless_names(values):
    check_names(values)


@pytest.mark.parametrize(
    ('kind', 'allowed'),
    [
        ('CocoDataset', True),
        ('mmdet.VOCDataset', True),
        ('ConcatDataset', False),
        ('RepeatDataset', False),
        ('CrowdHumanDataset', False),
        ('NoSuchDataset', False),
        (None, False),
    ],
)
def test_datasets_that_open_files(kind, allowed):
    values = dict(test_dataloader=dict(dataset=dict(type=kind)))
    if allowed:
        check_names(values)
    else:
        with pytest.raises(ValueError, match='may open files'):
            check_names(values)


@pytest.mark.parametrize('imports', [['math', 'absent_here'], 'absent_here'])
def test_imports_are_reported(monkeypatch, imports):
    lines = []
    monkeypatch.setattr(
        literal_config, 'print_log', lambda text, **_: lines.append(text)
    )
    text = f'custom_imports = dict(imports={imports!r})'
    assert read(text).custom_imports.imports == imports
    assert len(lines) == 1 and "['absent_here']" in lines[0]
    assert 'absent_here' not in sys.modules


def test_other_formats_are_mmengines():
    assert Config.fromstring('{"a": 1}', '.json').a == 1
