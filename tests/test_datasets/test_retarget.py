"""Any config on own data: classes, data sets and evaluators follow.

- configs of one and two stages, cascades, DETRs, masks, wrapped data sets;
- settings that do not depend on the data stay;
- every label means the same name in training and evaluation;
- without validation; more classes than mmdet has colours;
- what COCO-format instances do not have is refused;
- without masks for every object, the mask heads can be left out, and the
  evaluators follow.
"""

import json
from dataclasses import replace

import pytest
from mmdet.registry import DATASETS, METRICS
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

from cbnet.commands.command_line import find_config
from cbnet.datasets.boxes_only import learn_boxes_only
from cbnet.datasets.own_data import OwnData, find_own_data
from cbnet.datasets.retarget import retarget, set_num_classes
from cbnet.testing import build_model

CONFIGS = [
    'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
    'retinanet/retinanet_r50_fpn_1x_coco.py',
    'detr/detr_r50_8xb2-150e_coco.py',
    'queryinst/queryinst_r50_fpn_1x_coco.py',
    'solo/solo_r50_fpn_1x_coco.py',
    'yolox/yolox_tiny_8xb8-300e_coco.py',  # MultiImageMixDataset
    'pascal_voc/faster-rcnn_r50_fpn_1x_voc0712.py',  # Repeat, Concat, VOC
    'seesaw_loss/'
    'cascade-mask-rcnn_r101_fpn_seesaw-loss_random-ms-2x_lvis-v1.py',
]


@pytest.fixture
def data(tiny_coco, tmp_path):
    """The tiny data set; its val file in another order, with gaps."""
    content = json.loads((tiny_coco.root / 'val.json').read_text())
    new = {1: 90, 2: 13}
    for entry in content['annotations']:
        entry['category_id'] = new[entry['category_id']]
    for entry in content['categories']:
        entry['id'] = new[entry['id']]
    content['categories'].reverse()
    file = tmp_path / 'val.json'
    file.write_text(json.dumps(content))
    return find_own_data(tiny_coco.root, val_ann=str(file))


def load(name, tmp_path):
    cfg = Config.fromfile(find_config(f'mmdet::{name}'))
    cfg.work_dir = str(tmp_path / 'work')
    return cfg


def values(node, key):
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            if name not in ('rpn_head', 'semantic_head'):
                yield from values(value, key)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from values(value, key)


@pytest.mark.parametrize('name', CONFIGS)
def test_any_config(name, data, tmp_path):
    cfg = load(name, tmp_path)
    lines = retarget(cfg, data)
    assert 'classes: 2 (square, triangle), set at' in lines[0]
    assert set(values(cfg.model, 'num_classes')) == {2}
    masks = any(values(cfg.train_dataloader, 'with_mask'))
    init_default_scope('mmdet')
    for split, images in (('train', 4), ('val', 2), ('test', 2)):
        inner = cfg[f'{split}_dataloader'].dataset
        while 'dataset' in inner:
            inner = inner.dataset
        inner.update(pipeline=[], filter_cfg=None)
        dataset = DATASETS.build(inner)
        assert dataset.metainfo['classes'] == ('square', 'triangle')
        assert len(dataset) == images
    names = {}  # what the metric writes for a label, by the file's names
    metric = METRICS.build(cfg.test_evaluator)
    metric.dataset_meta = dataset.metainfo
    api = metric._coco_api
    for label, category in enumerate(
        api.get_cat_ids(cat_names=metric.dataset_meta['classes'])
    ):
        names[label] = api.cats[category]['name'], category
    assert names == {0: ('square', 90), 1: ('triangle', 13)}
    assert ('segm' in metric.metrics) == masks


def test_what_stays_of_data_sets_and_metrics(data, tmp_path):
    cfg = load(CONFIGS[0], tmp_path)
    cfg.train_dataloader.dataset.return_classes = True  # as Grounding DINO
    own = dict(backend='pycocotools', prefix='mine', classwise=True)
    for kind in ('mmdet.CocoMetric', 'CheckedCocoMetric'):
        cfg.val_evaluator = dict(type=kind, ann_file='old.json', **own)
        retarget(cfg, data)
        found = cfg.val_evaluator.to_dict()
        assert own.items() <= found.items()
        assert found['ann_file'] != 'old.json'
    assert cfg.train_dataloader.dataset.return_classes


def test_the_model_builds(data, tmp_path):
    cfg = load(CONFIGS[1], tmp_path)
    retarget(cfg, data)
    cfg.model.backbone.init_cfg = None
    model = build_model(cfg.model)
    assert model.roi_head.bbox_head.fc_cls.out_features == 3
    assert model.roi_head.mask_head.conv_logits.out_channels == 2


def test_weights_of_classes():
    model = ConfigDict(
        panoptic_head=dict(
            num_things_classes=80,
            num_stuff_classes=0,
            loss_cls=dict(class_weight=[1.0] * 80 + [0.1]),
        )
    )
    set_num_classes(model, 3)
    assert model.panoptic_head.num_things_classes == 3
    weights = model.panoptic_head.loss_cls.class_weight
    assert weights == [1.0, 1.0, 1.0, 0.1]
    model.panoptic_head.loss_cls.class_weight = [1.0, 2.0, 0.1]
    with pytest.raises(ValueError, match='weighs 2 classes differently'):
        set_num_classes(model, 3)


def test_an_rpn_keeps_its_class():
    model = ConfigDict(
        rpn_head=dict(num_classes=1), bbox_head=[dict(num_classes=80)] * 2
    )
    assert set_num_classes(model, 7) == 2
    assert model.rpn_head.num_classes == 1


def test_without_validation(tiny_coco, tmp_path):
    cfg = load(CONFIGS[0], tmp_path)
    cfg.default_hooks.checkpoint.save_best = 'auto'
    cfg.custom_hooks = [
        dict(type='EarlyStoppingHook', monitor='x'),
        dict(type='NumClassCheckHook'),
    ]
    lines = retarget(cfg, find_own_data(tiny_coco.root, validate=False))
    assert lines[-1] == 'no validation, as requested'
    for split in ('val', 'test'):
        for part in ('dataloader', 'evaluator', 'cfg'):
            assert cfg[f'{split}_{part}'] is None
    assert 'save_best' not in cfg.default_hooks.checkpoint
    assert [hook.type for hook in cfg.custom_hooks] == ['NumClassCheckHook']
    for hooks in (None, dict(checkpoint=None)):
        cfg = load(CONFIGS[0], tmp_path)
        cfg.default_hooks = hooks
        retarget(cfg, find_own_data(tiny_coco.root, validate=False))


def test_a_colour_for_every_class(data, tmp_path):
    cfg = load(CONFIGS[0], tmp_path)
    many = replace(data.train, classes=tuple(f'c{i}' for i in range(81)))
    retarget(cfg, OwnData(many, None))
    metainfo = cfg.train_dataloader.dataset.metainfo
    assert len(metainfo.palette) == len(metainfo.classes) == 81


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('htc/htc_r50_fpn_1x_coco.py', 'semantic maps'),
        ('panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py', 'Panoptic'),
        ('fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py', 'LoadProposals'),
        (
            'soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_'
            'semi-0.1-coco.py',
            'labelled and unlabelled',
        ),
    ],
)
def test_what_is_refused(data, tmp_path, name, message):
    with pytest.raises(ValueError, match=message):
        retarget(load(name, tmp_path), data)


@pytest.mark.parametrize(
    'key',
    ['train_dataloader', 'val_dataloader.dataset', 'test_evaluator'],
)
def test_sections_of_another_kind(key, data, tmp_path):
    cfg = load(CONFIGS[0], tmp_path)
    cfg.merge_from_dict({key: 'abc'})
    with pytest.raises(TypeError, match=f"^{key}='abc'; expected a dict"):
        retarget(cfg, data)


@pytest.fixture
def mixed(tiny_coco, tmp_path):
    """The tiny data set; the first object has no mask."""
    content = json.loads((tiny_coco.root / 'train.json').read_text())
    del content['annotations'][0]['segmentation']
    file = tmp_path / 'mixed.json'
    file.write_text(json.dumps(content))
    return find_own_data(tiny_coco.root, train_ann=str(file))


def test_masks_that_are_not_there(mixed, tmp_path):
    message = (
        r'mixed.json: the config trains masks, but 1 of 5 objects have none '
        r'.*--boxes-only, .* such as cbnet::cbnet/dual_lite0_boxes.py'
    )
    with pytest.raises(ValueError, match=message):
        retarget(load(CONFIGS[1], tmp_path), mixed)
    retarget(load(CONFIGS[0], tmp_path), mixed)


@pytest.mark.parametrize('name', CONFIGS)
def test_boxes_only(name, mixed, tmp_path):
    cfg = load(name, tmp_path)
    if 'solo' in name:
        with pytest.raises(ValueError, match='cannot do without masks; use'):
            learn_boxes_only(cfg)
        return
    line = learn_boxes_only(cfg)
    with_masks = 'mask' in name or 'queryinst' in name
    assert ('as requested' if with_masks else 'anyway') in line
    retarget(cfg, mixed)
    assert set(values(cfg, 'with_mask')) <= {False}
    for split in ('val', 'test'):
        metric = cfg[f'{split}_evaluator'].metric
        assert metric in ('bbox', ['bbox'])
    cfg.model.backbone.init_cfg = None
    model = build_model(cfg.model)
    assert not getattr(model, 'with_mask', False)


def test_a_config_without_masks_evaluates_boxes(data, tmp_path):
    cfg = load(CONFIGS[0], tmp_path)
    cfg.val_evaluator.metric = cfg.test_evaluator.metric = ['bbox', 'segm']
    retarget(cfg, data)
    assert cfg.val_evaluator.metric == cfg.test_evaluator.metric == ['bbox']
