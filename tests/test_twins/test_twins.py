"""Composite twins of plain configs.

1. The twins of many of mmdet's own configs have at most 20 lines, inherit
   and build. All names outside the backbone are the plain detector's,
   and each member is configured like the plain backbone, with its pretrained
   file.
2. The written ``_base_`` resolves from the twin's folder, also through links;
   the base's custom imports stay; a constructor that needs numbers and a timm
   member work.
3. Options reach the model; weights and proposals are written out.
   No checkpoint is read, not even a teacher's.
4. There are remarks on inherited settings that suit only the plain detector.
5. Every mistake is one clear error that leaves no file.
"""

import pytest
import torch
from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS
from mmengine.config import Config

from cbnet.config_files import find_config
from cbnet.models.building import build_without_weights
from cbnet.twins import TwinOptions, compose, default_name

# a config, and the proposals that the assistants of its twin see
KINDS = """
faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py                          lead
mask_rcnn/mask-rcnn_x101-32x4d_fpn_1x_coco.py                       lead
cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py                   lead
htc/htc_r50_fpn_1x_coco.py                                          lead
sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py                          lead
retinanet/retinanet_r50_fpn_1x_coco.py                              own
fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py                          own
atss/atss_r50_fpn_1x_coco.py                                        own
gfl/gfl_r50_fpn_1x_coco.py                                          own
rpn/rpn_r50_fpn_1x_coco.py                                          own
deformable_detr/deformable-detr_r50_16xb2-50e_coco.py               own
mask2former/mask2former_r50_8xb2-lsj-50e_coco.py                    own
res2net/cascade-rcnn_res2net-101_fpn_20e_coco.py                    lead
regnet/mask-rcnn_regnetx-3.2GF_fpn_1x_coco.py                       lead
resnest/faster-rcnn_s50_fpn_syncbn-backbone+head_ms-range-1x_coco.py lead
dcnv2/faster-rcnn_r50-mdconv-c3-c5_fpn_1x_coco.py                   lead
strong_baselines/mask-rcnn_r50_fpn_rpn-2conv_4conv1fc_syncbn-all_lsj-100e_coco.py lead
"""  # noqa: E501
KINDS = [line.split() for line in KINDS.strip().splitlines()]

PLAIN = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'


@pytest.fixture
def write(tmp_path):
    """Write a config below a folder of its own; give its path as text."""

    def write(text, name='plain.py', base=PLAIN):
        path = tmp_path / 'bases' / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'_base_ = {base!r}\n{text}\n' if base else text)
        return str(path)

    return write


@pytest.mark.parametrize(('name', 'proposals'), KINDS)
def test_twins_of_many_kinds(name, proposals, tmp_path):
    out = tmp_path / 'twin.py'
    model, remarks = compose(f'mmdet::{name}', out, TwinOptions())
    text = out.read_text()
    assert len(text.splitlines()) <= 20
    assert f"assistance=dict(weights=[0.5], proposals='{proposals}')" in text
    assert not remarks
    twin = Config.fromfile(out)
    assert 'cbnet' in twin.custom_imports.imports
    assert twin.train_dataloader  # inherited

    base = Config.fromfile(find_config(f'mmdet::{name}'))
    plain = build_without_weights(base)
    outside = [n for n in plain.state_dict() if not n.startswith('backbone.')]
    found = [n for n in model.state_dict() if not n.startswith('backbone.')]
    assert found == outside
    assert type(model).__bases__[-1] is type(plain)
    assert model.proposals == proposals
    backbone = model.backbone
    assert (backbone.num_members, backbone.style) == (2, 'dhlc')
    assert backbone.shared_stages == 1
    assert [
        n.removeprefix('members.0.')
        for n in backbone.state_dict()
        if n.startswith('members.0.')
    ] == list(plain.backbone.state_dict())
    for one in backbone.members:
        assert one.init_cfg == plain.backbone.init_cfg != {}


def test_the_written_file_builds_the_model_that_was_checked(tmp_path):
    model, _ = compose(PLAIN, tmp_path / 'twin.py', TwinOptions())
    again = build_without_weights(Config.fromfile(tmp_path / 'twin.py'))
    assert list(again.state_dict()) == list(model.state_dict())
    assert {p.device.type for p in model.parameters()} == {'meta'}


def test_a_constructor_that_needs_numbers_runs_in_memory(
    write, tmp_path, monkeypatch
):
    class Counting(ResNet):
        def __init__(self, **options):
            torch.arange(3)[1].item()
            super().__init__(**options)

    monkeypatch.setitem(MODELS.module_dict, 'Counting', Counting)
    config = write(
        "model = dict(backbone=dict(type='Counting', depth=18), "
        'neck=dict(in_channels=[64, 128, 256, 512]))'
    )
    model, _ = compose(config, tmp_path / 'twin.py', TwinOptions())
    assert type(model.backbone.members[0]) is Counting
    assert {p.device.type for p in model.parameters()} == {'cpu'}


def test_no_checkpoint_of_a_teacher_is_read(write, tmp_path):
    config = write(
        "model = dict(teacher_ckpt='gone.pth')",
        base='mmdet::lad/lad_r50-paa-r101_fpn_2xb8_coco_1x.py',
    )
    model, _ = compose(config, tmp_path / 'twin.py', TwinOptions())
    assert type(model).__name__ == 'AssistedLAD'
    assert Config.fromfile(tmp_path / 'twin.py').model.teacher_ckpt


def test_a_timm_member(write, tmp_path):
    config = write(
        'model = dict(backbone=dict(_delete_=True, type="TimmBackbone", '
        'model_name="test_resnet"), neck=dict(in_channels=[32, 48, 48, 96]))'
    )
    model, _ = compose(config, tmp_path / 'twin.py', TwinOptions())
    assert len(model.backbone.members) == 2
    assert type(model.backbone.members[1]).__name__ == 'TimmBackbone'


def test_the_base_is_found_from_the_twin(write, tmp_path, monkeypatch):
    write('', 'grandparent.py')
    write('work_dir = "here"', 'real.py', base='./grandparent.py')
    folder = tmp_path / 'deep' / 'er'
    folder.mkdir(parents=True)
    (tmp_path / 'link').symlink_to(folder)
    (tmp_path / 'bases' / 'also.py').symlink_to(tmp_path / 'bases' / 'real.py')
    monkeypatch.chdir(tmp_path / 'bases')
    for config, out in (
        ('real.py', 'twin.py'),
        ('real.py', '../deep/new/twin.py'),
        ('also.py', '../link/twin.py'),  # `..` of a link is elsewhere
    ):
        compose(config, out, TwinOptions())
        monkeypatch.chdir(tmp_path)
        path = tmp_path / 'bases' / out
        assert Config.fromfile(path).work_dir == 'here'
        base = next(n for n in path.read_text().splitlines() if '_base_' in n)
        # relative where it can be: both can move together
        assert (str(tmp_path) in base) == ('link' in out)
        monkeypatch.chdir(tmp_path / 'bases')


@pytest.mark.parametrize(
    ('imports', 'expected'),
    [
        ("['json', 'cmath']", ['cbnet', 'json', 'cmath']),
        ("'json'", ['cbnet', 'json']),
        ("['json', 'cbnet']", ['json', 'cbnet']),
    ],
)
def test_custom_imports_stay(imports, expected, write, tmp_path):
    text = f'custom_imports = dict(imports={imports}, '
    config = write(text + 'allow_failed_imports=True)')
    out = tmp_path / 'twin.py'
    compose(config, out, TwinOptions(style='slc', weights=0))
    twin = Config.fromfile(out)
    assert twin.custom_imports.imports == expected
    assert twin.custom_imports.allow_failed_imports
    assert len(out.read_text().splitlines()) <= 20


@pytest.mark.parametrize(
    ('members', 'weights', 'expected'),
    [
        (1, None, []),
        (2, None, [0.5]),
        (3, None, [0.5, 1.0]),
        (3, 0.25, [0.25, 0.25]),
        (3, [0.25, 0.75], [0.25, 0.75]),
        (2, 0, [0.0]),
    ],
)
def test_weights(members, weights, expected, tmp_path):
    out = tmp_path / 'twin.py'
    options = TwinOptions(members=members, weights=weights)
    model, _ = compose(PLAIN, out, options)
    assert list(model.assistant_weights) == expected
    assert Config.fromfile(out).model.assistance.weights == expected
    assert model.backbone.num_members == members


def test_options_reach_the_twin(tmp_path):
    out = tmp_path / 'twin.py'
    options = TwinOptions(style='fcc', shared_stages=None, proposals='own')
    compose(PLAIN, out, options)
    model = Config.fromfile(out).model
    assert model.backbone.style == 'fcc'
    assert model.backbone.shared_stages is None
    assert model.assistance.proposals == 'own'


@pytest.mark.parametrize(
    ('style', 'weight', 'shared', 'expected'),
    [
        ('slc', 0, 1, True),  # its last stage feeds nothing and has no loss
        ('allc', 0, None, True),
        ('slc', 0.5, 1, False),
        ('dhlc', 0, 1, False),
        ('slc', 0, 4, False),  # the lead takes all stages
    ],
)
def test_ddp_is_told_of_unused_stages(
    style, weight, shared, expected, tmp_path
):
    out = tmp_path / 'twin.py'
    options = TwinOptions(style=style, weights=weight, shared_stages=shared)
    compose(PLAIN, out, options)
    twin = Config.fromfile(out)
    assert twin.get('find_unused_parameters', False) is expected


def test_remarks_on_inherited_settings(write, tmp_path):
    config = write(
        "load_from = 'plain.pth'\nwork_dir = 'work_dirs/plain'\n"
        'optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'
        "'backbone.layer1': dict(lr_mult=0.1), "
        # no remark: two keys that match, and one outside the backbone
        "'backbone': dict(lr_mult=0.5), "
        "'backbone.members.0': dict(lr_mult=0.1), "
        "'query_embed': dict(decay_mult=0)}))"
    )
    _, remarks = compose(config, tmp_path / 'twin.py', TwinOptions())
    assert len(remarks) == 3
    assert "load_from='plain.pth'" in remarks[0]
    assert "work_dir='work_dirs/plain'" in remarks[1]
    assert "'backbone.layer1'" in remarks[2]


MISTAKES = [
    ('gone.py', {}, 'no config file gone.py'),
    ('mmdet::gone.py', {}, 'no config file'),
    ('nowhere::a.py', {}, 'no package nowhere is installed'),
    (PLAIN, dict(style='dlhc'), "style='dlhc'; .*id you mean 'dhlc'"),
    (PLAIN, dict(style='x'), "expected 'slc', .*'fcc'$"),
    (PLAIN, dict(shared_stages=5), 'shared_stages=5; .* 4 stages'),
    (PLAIN, dict(shared_stages=-1), 'shared_stages=-1'),
    (PLAIN, dict(members=0), 'num_members=0; expected a whole number from 1'),
    (
        PLAIN,
        dict(weights=[0.5, 1]),
        'one weight for .*each of the 1 assistants',
    ),
    (PLAIN, dict(members=3, weights=[1]), 'for each of the 2 assistants'),
    (PLAIN, dict(weights=-1.0), 'a list of finite numbers from 0'),
    (
        'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
        dict(proposals='lead'),
        "proposals='lead' needs rpn_head and roi_head.* use 'own'",
    ),
    (
        'mmdet::ssd/ssd300_coco.py',
        {},
        'SSDVGG cannot be a member: a map added to the input of stage 1',
    ),
    (
        PLAIN,
        dict(at='model.detector'),
        'FasterRCNN has no model.detector.backbone .found model.backbone.; '
        "only the backbone of a detector .*; did you mean 'model'",
    ),
    (
        'mmdet::lad/lad_r50-paa-r101_fpn_2xb8_coco_1x.py',
        dict(at='model.teacher_backbone'),
        'LAD has no model.teacher_backbone.backbone',
    ),
    (
        'mmdet::reid/reid_r50_8xb32-6e_mot17train80_test-mot17val20.py',
        {},
        'before it is made composite: ',
    ),
    (
        'mmdet::glip/glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365.py',
        {},
        'of this config does not build, even before it is made composite: '
        'transformers is not installed',
    ),
    (
        'mmdet::_base_/schedules/schedule_1x.py',
        {},
        'has no model; give the config of a detector',
    ),
    (
        'mmdet::timm_example/retinanet_timm-tv-resnet50_fpn_1x_coco.py',
        {},
        "a module of custom_imports cannot be imported: .*'mmpretrain'",
    ),
    (
        'mmdet::tridentnet/tridentnet_r50-caffe_1x_coco.py',
        {},
        'TridentResNet cannot be a member: in training it returns one map',
    ),
]


@pytest.mark.parametrize(('config', 'options', 'message'), MISTAKES)
def test_a_mistake_leaves_no_file(config, options, message, tmp_path):
    out = tmp_path / 'twin.py'
    with pytest.raises(ValueError, match=message) as raised:
        compose(config, out, TwinOptions(**options))
    assert '\n' not in str(raised.value)
    assert not out.exists()


BROKEN = {
    'syntax': ('model = dict(', PLAIN, 'plain.py: .*never closed'),
    'name': ('model = gone', PLAIN, "name 'gone' is not defined"),
    'base': ('', './gone.py', 'a file that is missing: .*gone.py'),
    'package': (
        '',
        'nowhere::gone.py',
        'plain.py: .*specify the package name',
    ),
    'no type': ('model = dict(backbone={})', None, 'has no model'),
    'type': (
        "model = dict(type='Gone')",
        PLAIN,
        'even before it is made composite: Gone is not in',
    ),
    'pure': (
        'from mmengine.config import read_base\n'
        'with read_base():\n    from .other import *\n',
        None,
        'is a pure Python config',
    ),
}


@pytest.mark.parametrize('kind', BROKEN)
def test_a_broken_base(kind, write, tmp_path):
    text, base, message = BROKEN[kind]
    config = write(text, base=base)
    with pytest.raises(ValueError, match=message):
        compose(config, tmp_path / 'twin.py', TwinOptions())
    assert not (tmp_path / 'twin.py').exists()


def test_a_pure_python_base_of_a_base(write, tmp_path):
    write(BROKEN['pure'][0], 'pure.py', base=None)
    config = write('', base='./pure.py')
    with pytest.raises(ValueError, match='lazy_import'):
        compose(config, tmp_path / 'twin.py', TwinOptions())


def test_a_composite_is_refused(tmp_path):
    first = tmp_path / 'twin.py'
    compose(PLAIN, first, TwinOptions())
    with pytest.raises(ValueError, match='composite already: model.backbone'):
        compose(str(first), tmp_path / 'again.py', TwinOptions())
    assert not (tmp_path / 'again.py').exists()


def test_nothing_is_overwritten(tmp_path):
    out = tmp_path / 'twin.py'
    out.write_text('mine')
    with pytest.raises(ValueError, match='exists; name another file'):
        compose(PLAIN, out, TwinOptions())
    assert out.read_text() == 'mine'
    with pytest.raises(ValueError, match=r'must end in \.py'):
        compose(PLAIN, tmp_path / 'twin.yml', TwinOptions())


def test_names():
    assert default_name('a/b.c.yml', 2) == 'dual_b.c.py'
    assert default_name(PLAIN, 3) == 'triple_faster-rcnn_r50_fpn_1x_coco.py'
    assert default_name('x.py', 1) == 'single_x.py'
    assert default_name('x.py', 4) == 'composite4_x.py'
