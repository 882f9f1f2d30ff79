"""The parts and the limits of the count.

1. The counts of backbones equal those measured in the published code, for
   several numbers of shared stages.
2. The parts add up to the whole model: for families of members, odd sizes,
   shared and own stems, and weights that two modules share.
3. Detectors without a composite are counted, too. If a part needs data, its
   name is reported; heads that did not run never count as free.
4. Configs without a detector and shapes that are not images are refused.
"""

import pytest
import torch
from mmdet.models.detectors import MaskRCNN
from mmengine.config import Config
from torch import nn

from cbnet.analysis.complexity import measure, measure_detector
from cbnet.analysis.complexity.figures import Complexity, Part
from cbnet.analysis.complexity.meter import ATTENTION, metered
from cbnet.analysis.complexity.table import notes, part_table
from cbnet.config_files import find_config
from cbnet.models.building import on_meta
from cbnet.testing import (
    TINY_MEMBERS,
    build_model,
    tiny_composite,
    tiny_detector,
)

R50 = dict(type='ResNet', depth=50)
SWIN_T = dict(type='SwinTransformer')


def cost(model, shape=(64, 96)):
    return measure_detector(build_model(model), shape)


@pytest.mark.parametrize(
    ('member', 'shared', 'parameters', 'macs'),
    [
        (R50, None, 51.86, 177.7),
        (R50, 0, 51.85, 175.3),
        (R50, 1, 51.38, 159.7),
        (R50, 3, 40.57, 102.0),
        (SWIN_T, None, 55.69, 186.2),
        (SWIN_T, 0, 55.68, 185.9),
        (SWIN_T, 1, 55.25, 169.9),
        (SWIN_T, 3, 41.71, 107.4),
    ],
)
def test_measured_backbones(member, shared, parameters, macs):
    """In the published code: M parameters, G MACs outside attention."""
    with on_meta():
        backbone = build_model(
            dict(type='CompositeBackbone', member=member, shared_stages=shared)
        )
    backbone.to('meta').eval()
    with metered(backbone) as reading:
        backbone(torch.empty(1, 3, 800, 1280, device='meta'))
    found = sum(p.numel() for p in backbone.parameters())
    assert found / 1e6 == pytest.approx(parameters, abs=0.006)
    found = sum(reading.kinds.values()) - reading.kinds[ATTENTION]
    assert found / 1e9 == pytest.approx(macs, abs=0.06)


@pytest.mark.parametrize(
    'member',
    [
        'resnet_deep_stem',
        'res2net',
        'regnet',
        'swin',
        'timm_efficientnet',
        'timm_convnext',
    ],
)
def test_parts_add_up(member, shape=(61, 83)):
    backbone = tiny_composite(member)
    channels = build_model(backbone).adapters[-1].specs
    model = tiny_detector('RetinaNet', backbone)
    model['neck']['in_channels'] = [s.out_channels for s in channels]
    model['neck']['start_level'] = 0
    model['neck']['num_outs'] = 5
    detector = build_model(model)
    parameters = sum(p.numel() for p in detector.parameters())
    trainable = sum(
        p.numel() for p in detector.parameters() if p.requires_grad
    )
    found = measure_detector(detector, shape)
    assert not found.uncounted
    assert list(found.parts) == [
        'stem',
        'member 0 (assistant)',
        'member 1 (lead)',
        'connection 0 -> 1',
        'neck',
        'bbox_head',
    ]
    assert found.total.parameters == parameters
    assert found.total.trainable == trainable
    assert found.total.macs == sum(found.kinds.values())
    assert all(part.macs > 0 for part in found.parts.values())


def test_own_stems():
    found = cost(
        tiny_detector(
            'RetinaNet', tiny_composite(num_members=3, shared_stages=None)
        )
    )
    names = list(found.parts)
    assert names[:3] == [f'stem of member {k}' for k in range(3)]
    assert names[6:8] == ['connection 0 -> 1', 'connection 1 -> 2']
    stems = [found.parts[name] for name in names[:3]]
    assert stems[0] == stems[1] == stems[2]
    assert stems[0].macs == 32 * 48 * 8 * 3 * 49


def test_absolute_positions_belong_to_the_stem():
    member = dict(
        TINY_MEMBERS['swin'], use_abs_pos_embed=True, pretrain_img_size=32
    )
    backbone = dict(type='CompositeBackbone', member=member)
    with_positions = cost(tiny_detector('RetinaNet', backbone))
    without = cost(tiny_detector('RetinaNet', tiny_composite('swin')))
    difference = (
        with_positions.parts['stem'].parameters
        - without.parts['stem'].parameters
    )
    assert difference == 8 * 8 * 8
    assert with_positions.total.parameters == (
        without.total.parameters + difference
    )


def test_shared_weights_count_once():
    model = tiny_detector('RetinaNet')
    detector = build_model(model)
    head = detector.bbox_head
    head.reg_convs[0].conv.weight = head.cls_convs[0].conv.weight
    parameters = sum(p.numel() for p in detector.parameters())
    found = measure_detector(detector, (64, 64))
    assert found.total.parameters == parameters


def test_plain_detector():
    found = cost(tiny_detector('MaskRCNN'))
    assert list(found.parts) == [
        'backbone',
        'neck',
        'rpn_head',
        'roi_head.bbox_head',
        'roi_head.mask_head',
    ]
    assert found.total.assistance == found.assistants == 0
    assert 'add' in notes(found)[-1] and '0.00 G' in notes(found)[-1]


def test_detector_of_another_kind():
    """With queries instead of proposals; one rule counts attention."""
    cfg = Config.fromfile(
        find_config('mmdet::detr/detr_r50_8xb2-150e_coco.py')
    )
    found = measure(cfg, (64, 96))
    assert not found.uncounted
    assert found.kinds[ATTENTION] > 0
    assert found.parts['encoder'].published < found.parts['encoder'].macs
    assert found.total.training == found.total.macs


def test_part_that_needs_data():
    cfg = Config.fromfile(
        find_config('mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py')
    )
    found = measure(cfg, (64, 96))
    assert list(found.uncounted) == ['panoptic_head']
    head = found.parts['panoptic_head']
    assert head.parameters > 20e6
    assert head.macs is head.published is head.training is None
    assert found.parts['backbone'].macs > 0
    assert found.total.macs is None
    assert round(found.total.parameters / 1e6) == 44
    row = part_table(found).splitlines()[3]
    assert row.split()[1:5] == ['panoptic_head', '|', '20.52', '|']
    assert row.count(' - ') == 4


class WithFurtherHead(MaskRCNN):
    def __init__(self, **options):
        super().__init__(**options)
        self.further_head = nn.Conv2d(8, 8, 1)


def test_head_that_is_not_run_is_not_free():
    model = tiny_detector('MaskRCNN')
    model['type'] = WithFurtherHead
    found = cost(model)
    assert list(found.uncounted) == ['further_head']
    assert found.parts['further_head'] == Part(72, 72, None, None, None, None)
    assert found.parts['roi_head.mask_head'].macs > 0
    assert found.total.macs is None


def test_training_that_cannot_be_counted_leaves_inference():
    model = tiny_detector('FasterRCNN')
    model['train_cfg']['rcnn']['sampler'] = dict(type='PseudoSampler')
    found = cost(model)
    assert list(found.uncounted) == ['detector']
    assert 'num' in found.uncounted['detector']
    assert found.total.macs > 0
    assert found.total.training is None


def test_rois_of_the_config():
    model = tiny_detector('MaskRCNN')
    few = cost(model)
    model['test_cfg']['rpn']['max_per_img'] *= 3
    many = cost(model)
    box_head = [f.parts['roi_head.bbox_head'] for f in (few, many)]
    assert box_head[1].macs == 3 * box_head[0].macs
    assert box_head[1].training == box_head[0].training
    assert many.parts['roi_head.mask_head'] == few.parts['roi_head.mask_head']


def test_json_holds_everything():
    found = cost(tiny_detector('MaskRCNN', tiny_composite()))
    data = found.as_json()
    assert data['shape'] == (64, 96)
    assert [part['name'] for part in data['parts']] == list(found.parts)
    assert data['total']['macs'] == found.total.macs
    assert data['total']['parameters'] == sum(
        part['parameters'] for part in data['parts']
    )
    assert data['inference_rois'] == [dict(boxes=30, masks=100)]


@pytest.mark.parametrize('shape', [(31, 64), (64, 0), (64,), (64, 64, 64)])
def test_a_shape_that_is_not_an_image(shape):
    with pytest.raises(ValueError, match='is not an image; expected a height'):
        measure(Config(dict(model=tiny_detector())), shape)


@pytest.mark.parametrize(
    ('model', 'words'),
    [
        (None, 'the config has no model'),
        (TINY_MEMBERS['resnet'], "'ResNet' is a ResNet, not a detector"),
        (dict(type='Nothing'), 'Nothing is not in the'),
    ],
)
def test_a_config_without_a_detector(model, words):
    with pytest.raises(ValueError, match=words):
        measure(Config(dict(model=model)), (64, 64))


def test_total_of_nothing_counted():
    found = Complexity((64, 64), dict(a=Part(1, 1, 2, 2), b=Part(1, 0, None)))
    assert found.total == Part(2, 1, None, 2)
