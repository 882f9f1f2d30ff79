"""The settings of a model and of a run: every slip is a sentence with its key.

- a text, None or a number out of range instead of a number, a list instead of
  a dict, at any depth, whatever wraps it;
- configs of this package and of mmdet are right as they are.
"""

import copy

import pytest
from mmengine.config import Config

from cbnet.config_files import find_config
from cbnet.engine.run_settings import check_model, check_training
from cbnet.errors import UserError

CONFIG = dict(
    model=dict(
        type='MultiBranchDetector',
        detector=dict(
            type='MaskRCNN',
            neck=dict(type='FPN', in_channels=[8, 8], num_outs=5),
            rpn_head=dict(
                type='RPNHead',
                loss_bbox=dict(type='L1Loss', loss_weight=1.0),
                loss_cls=dict(type='CrossEntropyLoss', loss_weight=1.0),
            ),
            train_cfg=dict(rpn=dict(assigner=dict(neg_iou_thr=(0.1, 0.3)))),
            test_cfg=dict(
                rcnn=dict(score_thr=0.05, nms=dict(iou_threshold=0.5)),
                max_per_img=100,
            ),
        ),
        data_preprocessor=dict(
            type='MultiBranchDataPreprocessor',
            data_preprocessor=dict(
                type='mmdet.DetDataPreprocessor',
                mean=[123.675, 116.28, 103.53],
                std=[1, 1, 1],
                bgr_to_rgb=True,
                pad_size_divisor=32,
            ),
        ),
    ),
    optim_wrapper=dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999)),
        clip_grad=dict(max_norm=35, norm_type=2),
        paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
    ),
    param_scheduler=[
        dict(type='LinearLR', start_factor=0.001, begin=0, end=500),
        dict(type='MultiStepLR', milestones=[8, 11], gamma=0.1),
    ],
    train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=12),
    default_hooks=dict(
        logger=dict(type='LoggerHook', interval=50), timer=None
    ),
    log_processor=dict(window_size=50),
    randomness=dict(seed=None),
    log_level='INFO',
    env_cfg=dict(
        cudnn_benchmark=False,
        mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
        dist_cfg=dict(backend='nccl'),
    ),
    auto_scale_lr=dict(enable=False, base_batch_size=16),
)
COLOURS = 'model.data_preprocessor.data_preprocessor'
SLIPS = [
    (f'{COLOURS}.pad_size_divisor', 'x', 'a whole number from 1'),
    (f'{COLOURS}.pad_size_divisor', 0, 'a whole number from 1'),
    (f'{COLOURS}.pad_size_divisor', 32.0, 'a whole number from 1'),
    (f'{COLOURS}.mean', 'x', 'a list of finite numbers, or None'),
    (f'{COLOURS}.mean', [1, 'x', 3], 'a list of finite numbers, or None'),
    (f'{COLOURS}.std', [1, 0, 1], 'a list of finite numbers above 0, or None'),
    (f'{COLOURS}.bgr_to_rgb', 'yes', 'True or False'),
    (f'{COLOURS}.mask_pad_value', 'x', 'a whole number'),
    ('model.detector.neck.num_outs', 'x', 'a whole number'),
    ('model.detector.rpn_head.loss_bbox.loss_weight', 'x', 'a '),
    ('model.detector.rpn_head.loss_cls.loss_weight', 'x', 'a number'),
    ('model.detector.test_cfg.rcnn.score_thr', 'x', 'a finite number'),
    ('model.detector.test_cfg.rcnn.nms.iou_threshold', None, 'a finite'),
    ('model.detector.test_cfg.max_per_img', 'x', 'a whole number'),
    ('model.detector.train_cfg.rpn.assigner.neg_iou_thr', 'x', 'a finite'),
    ('optim_wrapper', 3, 'a dict of settings by name'),
    ('optim_wrapper.optimizer', 'SGD', 'a dict of settings by name'),
    ('optim_wrapper.optimizer.lr', 'x', 'a finite number from 0'),
    ('optim_wrapper.optimizer.lr', -1, 'a finite number from 0'),
    ('optim_wrapper.optimizer.betas', 0.9, 'a list of finite numbers'),
    ('optim_wrapper.clip_grad', 35, 'a dict of settings by name'),
    ('optim_wrapper.clip_grad.max_norm', 'x', 'a finite number above 0'),
    ('optim_wrapper.clip_grad.norm_type', 'x', "a finite number, or 'inf'"),
    ('optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult', 'x', 'a fi'),
    ('param_scheduler', 'x', 'a dict of settings by name, or a list'),
    ('param_scheduler.0.end', 'x', 'a whole number from 0'),
    ('param_scheduler.1.milestones', '8', 'a list of whole numbers'),
    ('param_scheduler.1.gamma', 'x', 'a finite number'),
    ('load_from', 5, 'a string, or None'),
    ('resume', 'x', 'True or False, or None'),
    ('train_cfg', [], 'a dict of settings by name'),
    ('train_cfg.max_epochs', 'x', 'a whole number from 0'),
    ('default_hooks', [], 'a dict of settings by name'),
    ('default_hooks.logger.interval', 'x', 'a whole number'),
    ('log_processor.window_size', 'x', 'a whole number from 1'),
    ('randomness.seed', 'x', 'a whole number, or None'),
    ('log_level', 'info', 'a whole number, or'),
    ('work_dir', 5, 'a string, or None'),
    ('env_cfg.cudnn_benchmark', 'x', 'True or False'),
    ('env_cfg.mp_cfg', 'fork', 'a dict of settings by name, or None'),
    ('env_cfg.mp_cfg.opencv_num_threads', 'x', 'a whole number'),
    ('env_cfg.mp_cfg.mp_start_method', 'x', "'fork', 'spawn' or 'forkserver'"),
    ('auto_scale_lr.base_batch_size', 'x', 'a finite number above 0'),
]


def check(cfg):
    check_model(cfg)
    check_training(cfg)


@pytest.mark.parametrize(('key', 'value', 'expected'), SLIPS)
def test_slips(key, value, expected):
    cfg = Config(copy.deepcopy(CONFIG))
    *parents, last = key.split('.')
    node = cfg
    for name in parents:
        node = node[int(name) if name.isdecimal() else name]
    node[last] = value
    place = key.replace('.0.', '[0].').replace('.1.', '[1].')
    with pytest.raises(UserError) as raised:
        check(cfg)
    said = str(raised.value)
    assert said.startswith(f'{place}={value!r}; expected {expected}')


@pytest.mark.parametrize(
    'name',
    [
        'cbnet::cbnet/dual_lite0.py',
        'cbnet::cbnet/dual_swin_b_htc.py',
        'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
        'mmdet::detr/detr_r50_8xb2-150e_coco.py',
        'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py',
        'mmdet::yolox/yolox_tiny_8xb8-300e_coco.py',
        'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
        'mmdet::ssd/ssd300_coco.py',
        'mmdet::solo/solo_r50_fpn_1x_coco.py',
        'mmdet::soft_teacher/'
        'soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py',
    ],
)
def test_configs_are_right(name):
    check(Config.fromfile(find_config(name)))


def test_what_is_right():
    cfg = Config(copy.deepcopy(CONFIG))
    check(cfg)
    cfg.optim_wrapper.clip_grad.norm_type = 'inf'
    cfg.optim_wrapper = dict(
        constructor='Mine',
        backbone=cfg.optim_wrapper,
        head=copy.deepcopy(cfg.optim_wrapper),
    )
    check(cfg)
    cfg.optim_wrapper.head.optimizer.lr = 'x'
    with pytest.raises(UserError, match=r'^optim_wrapper\.head\.optimizer'):
        check(cfg)
    check(Config(dict(model=3)))
    check(Config({}))
