"""The published recipes, value by value, against the resolved configs.

1. every published model: optimiser, schedule, batch, augmentation, backbone,
   neck, heads, assigners, losses, test settings;
2. what a newcomer reads at the top of a config is what it does;
3. so is the table of docs/recipes.md.
"""

from itertools import takewhile

import pytest

from .published_recipes import (
    CONFIGS,
    HTC,
    MASKED,
    RECIPES,
    ROOT,
    SGD,
    STDS,
    SWINS,
    pretrained,
    read,
)

each = pytest.mark.parametrize('name', RECIPES)


def several(value):
    return value if isinstance(value, list) else [value]


@each
def test_training(name):
    cfg, row = read(f'dual_{name}'), RECIPES[name]
    expected = SGD
    if row['optimizer'] != 'SGD':
        expected = dict(
            type='AdamW', lr=float(row['optimizer']), betas=(0.9, 0.999),
            weight_decay=0.05,
        )  # fmt: skip
        assert cfg.optim_wrapper.paramwise_cfg == dict(
            custom_keys={
                key: dict(decay_mult=0.0)
                for key in (
                    'absolute_pos_embed',
                    'relative_position_bias_table',
                    'norm',
                )
            }
        )
    wrapper = cfg.optim_wrapper
    assert wrapper.optimizer == expected
    assert {'type', 'optimizer'} <= set(wrapper) <= {
        'type', 'optimizer', 'paramwise_cfg',
    }  # fmt: skip
    mixed = row['mixed'] == 'yes'
    assert wrapper.type == ('AmpOptimWrapper' if mixed else 'OptimWrapper')
    assert cfg.train_cfg == dict(
        type='EpochBasedTrainLoop',
        max_epochs=int(row['epochs']),
        val_interval=1,
    )
    warmup, steps = cfg.param_scheduler
    assert warmup == dict(
        type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500
    )
    assert steps == dict(
        type='MultiStepLR',
        begin=0,
        end=int(row['epochs']),
        by_epoch=True,
        milestones=[int(step) for step in row['steps'].split(',')],
        gamma=0.1,
    )
    images = int(row['images'])
    assert cfg.train_dataloader.batch_size == images
    assert cfg.train_dataloader.num_workers == 2
    assert cfg.auto_scale_lr == dict(enable=False, base_batch_size=8 * images)
    assert 'find_unused_parameters' not in cfg


@each
def test_data(name):
    cfg, row = read(f'dual_{name}'), RECIPES[name]
    loader = cfg.train_dataloader.dataset
    masks, maps = name in MASKED, name in HTC
    load, annotations, *middle, pack = loader.pipeline
    assert [load.type, pack.type] == ['LoadImageFromFile', 'PackDetInputs']
    expected = dict(type='LoadAnnotations', with_bbox=True)
    expected |= dict(with_mask=True) if masks else {}
    assert annotations == (expected | (dict(with_seg=True) if maps else {}))
    flip = dict(type='RandomFlip', prob=0.5)
    if row['augmentation'] == '800':
        resize = dict(type='Resize', scale=(1333, 800), keep_ratio=True)
        assert middle == [resize, flip]
    elif row['augmentation'] == 'A':
        scales = [(1600, 400), (1600, 1400)]
        resize = dict(type='RandomResize', scale=scales, keep_ratio=True)
        assert middle == [resize, flip]
    else:
        resize, part, crop = (
            dict(
                type='RandomChoiceResize',
                scales=[(1333, short) for short in shorts],
                keep_ratio=True,
            )
            if isinstance(shorts, tuple)
            else shorts
            for shorts in (
                (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800),
                (400, 500, 600),
                dict(
                    type='RandomCrop',
                    crop_type='absolute_range',
                    crop_size=(384, 600),
                    allow_negative_crop=True,
                ),
            )
        )
        assert middle == [
            flip,
            dict(
                type='RandomChoice',
                transforms=[[resize], [part, crop, resize]],
            ),
        ]
    prefix = dict(img='train2017/')
    prefix |= dict(seg='stuffthingmaps/train2017/') if maps else {}
    assert loader.data_prefix == prefix
    assert cfg.val_dataloader == cfg.test_dataloader
    scale = (1600, 1400) if row['tested'] == '1600' else (1333, 800)
    tested = cfg.test_dataloader.dataset.pipeline
    assert [t for t in tested if t.type == 'Resize'] == [
        dict(type='Resize', scale=scale, keep_ratio=True)
    ]
    assert cfg.test_evaluator.metric == (['bbox', 'segm'] if masks else 'bbox')


@each
def test_backbone_and_neck(name):
    cfg, row = read(f'dual_{name}').model, RECIPES[name]
    backbone, member = cfg.backbone, cfg.backbone.member
    assert cfg.type == 'AssistedDetector' and cfg.base == row['detector']
    assert cfg.assistance == dict(weights=[0.5], proposals='lead')
    swin = member.type == 'SwinTransformer'
    assert (backbone.num_members, backbone.style) == (2, 'dhlc')
    assert backbone.shared_stages == (0 if swin else 1)
    # What a family's members are connected by is their adapter's to say.
    assert 'connection' not in backbone and not backbone.get('with_cp')
    channels = [256, 512, 1024, 2048]
    if swin:
        width, depth, heads, drop_path, _ = SWINS[row['member']]
        assert member.embed_dims == width
        assert list(member.depths) == [2, 2, depth, 2]
        assert list(member.num_heads) == [heads * 2**i for i in range(4)]
        assert (member.window_size, member.drop_path_rate) == (7, drop_path)
        # The rest is mmdet's default: as published, but for the drop path.
        assert set(member) == {
            'type', 'embed_dims', 'depths', 'num_heads', 'window_size',
            'drop_path_rate', 'init_cfg',
        }  # fmt: skip
        channels = [width * 2**i for i in range(4)]
    else:
        assert (member.frozen_stages, member.norm_eval) == (1, True)
        assert member.norm_cfg == dict(type='BN', requires_grad=True)
        assert (member.num_stages, member.style) == (4, 'pytorch')
        assert list(member.out_indices) == [0, 1, 2, 3]
    if row['member'] == 'r50':
        assert (member.type, member.depth) == ('ResNet', 50)
        assert 'dcn' not in member
    if row['member'] == 'r2':
        assert (member.type, member.depth) == ('Res2Net', 101)
        assert (member.scales, member.base_width) == (4, 26)
        assert member.dcn == dict(
            type='DCNv2', deform_groups=1, fallback_on_stride=False
        )
        assert list(member.stage_with_dcn) == [False, True, True, True]
    assert member.init_cfg.type == 'Pretrained'
    assert member.init_cfg.checkpoint.endswith(pretrained(row))
    assert cfg.neck == dict(
        type='FPN', in_channels=channels, out_channels=256, num_outs=5
    )
    preprocessor = cfg.data_preprocessor
    assert preprocessor.mean == [123.675, 116.28, 103.53]
    assert preprocessor.std == [58.395, 57.12, 57.375]
    assert preprocessor.bgr_to_rgb and preprocessor.pad_size_divisor == 32
    assert preprocessor.get('pad_mask', False) == (name in MASKED)


@each
def test_proposals(name):
    cfg = read(f'dual_{name}').model
    head = cfg.rpn_head
    cascade = cfg.base not in ('FasterRCNN', 'MaskRCNN')
    assert head.anchor_generator == dict(
        type='AnchorGenerator',
        scales=[8],
        ratios=[0.5, 1.0, 2.0],
        strides=[4, 8, 16, 32, 64],
    )
    loss = dict(type='L1Loss', loss_weight=1.0)
    if cascade:
        loss = dict(type='SmoothL1Loss', beta=1 / 9, loss_weight=1.0)
    assert head.loss_bbox == loss
    assert cfg.train_cfg.rpn.allowed_border == (0 if cascade else -1)
    trained, tested = cfg.train_cfg.rpn_proposal, cfg.test_cfg.rpn
    assert trained.nms_pre == 2000
    assert trained.max_per_img == (2000 if cascade else 1000)
    assert (tested.nms_pre, tested.max_per_img) == (1000, 1000)


@each
def test_box_heads(name):
    cfg, row = read(f'dual_{name}').model, RECIPES[name]
    heads = several(cfg.roi_head.bbox_head)
    stages = 1 if row['detector'] in ('FasterRCNN', 'MaskRCNN') else 3
    assert len(heads) == stages
    if stages == 3:
        assert cfg.roi_head.stage_loss_weights == [1, 0.5, 0.25]
    for head, stds in zip(heads, STDS[:stages], strict=True):
        assert head.bbox_coder.target_stds == stds
        assert head.reg_class_agnostic == (row['agnostic'] == 'yes')
        assert (head.fc_out_channels, head.num_classes) == (1024, 80)
        if row['heads'] == '4conv1fc':
            assert head.type == 'ConvFCBBoxHead'
            assert (head.num_shared_convs, head.num_shared_fcs) == (4, 1)
            assert head.norm_cfg == dict(type='SyncBN', requires_grad=True)
            assert head.reg_decoded_bbox
            assert head.loss_bbox == dict(type='GIoULoss', loss_weight=10.0)
        else:
            assert head.type == 'Shared2FCBBoxHead'
            assert not head.get('reg_decoded_bbox') and 'norm_cfg' not in head
            kind = 'SmoothL1Loss' if stages == 3 else 'L1Loss'
            assert head.loss_bbox.type == kind
            assert head.loss_bbox.get('beta', 1.0) == 1.0
    for number, rcnn in enumerate(several(cfg.train_cfg.rcnn)):
        assigner, threshold = rcnn.assigner, 0.5 + number / 10
        assert assigner.pos_iou_thr == assigner.neg_iou_thr == threshold
        # Only the cascades say False; the class itself says True.
        low = cfg.base != 'CascadeRCNN' and cfg.base != 'FasterRCNN'
        assert assigner.get('match_low_quality', True) == low
    tested, large = cfg.test_cfg.rcnn, row['tested'] == '1600'
    assert tested.score_thr == (0.001 if large else 0.05)
    kind = 'soft_nms' if large else 'nms'
    assert tested.nms == dict(type=kind, iou_threshold=0.5)
    assert tested.max_per_img == 100
    if name in MASKED:
        assert tested.mask_thr_binary == 0.5


@pytest.mark.parametrize('name', HTC)
def test_hybrid_task_cascade(name):
    cfg = read(f'dual_{name}').model
    roi_head = cfg.roi_head
    assert roi_head.type == 'StageMeanHTCRoIHead'
    assert roi_head.interleaved and roi_head.mask_info_flow
    assert [head.type for head in roi_head.mask_head] == ['HTCMaskHead'] * 3
    first, *others = roi_head.mask_head
    assert first.with_conv_res is False
    assert all('with_conv_res' not in head for head in others)
    semantic = roi_head.semantic_head
    assert (semantic.type, semantic.num_classes) == ('FusedSemanticHead', 183)
    assert (semantic.num_ins, semantic.fusion_level) == (5, 1)
    assert semantic.loss_seg == dict(
        type='CrossEntropyLoss',
        ignore_index=255,
        avg_non_ignore=True,
        loss_weight=0.2,
    )
    assert roi_head.semantic_roi_extractor.featmap_strides == [8]
    assert roi_head.semantic_roi_extractor.roi_layer.output_size == 14
    assert cfg.data_preprocessor.pad_seg
    assert cfg.data_preprocessor.seg_pad_value == 0


@each
def test_the_head_of_the_file_says_what_it_does(name):
    row = RECIPES[name]
    lines = (CONFIGS / f'dual_{name}.py').read_text().splitlines()
    comment = takewhile(lambda line: line.startswith('# '), lines)
    head = ' '.join(line.removeprefix('# ') for line in comment)
    images = row['images']
    plural = 's' if images != '1' else ''
    assert f'{row["epochs"]} epochs of 8 GPUs x {images} image{plural}' in head
    first, second = row['steps'].split(',')
    assert f'steps at epochs {first} and {second}' in head
    sgd = row['optimizer'] == 'SGD'
    rate = 'SGD 0.02' if sgd else f'AdamW {row["optimizer"]}'
    assert (f'{rate} in mixed precision' in head) == (row['mixed'] == 'yes')
    assert rate in head
    assert pretrained(row).rpartition('/')[2] in head
    assert 'published' in head


@each
def test_the_table_of_the_docs(name):
    cfg, row = read(f'dual_{name}'), RECIPES[name]
    optimizer, images = cfg.optim_wrapper.optimizer, row['images']
    *_, steps = cfg.param_scheduler
    scale = {'1600': '1600x1400', '800': '1333x800'}
    file = cfg.model.backbone.member.init_cfg.checkpoint.rpartition('/')[2]
    cells = (
        f'`dual_{name}.py`',
        cfg.model.base,
        f'{images}: {cfg.auto_scale_lr.base_batch_size}',
        f'{optimizer.type} {optimizer.lr}',
        f'{steps.end}: {", ".join(map(str, steps.milestones))}',
        scale.get(row['augmentation'], row['augmentation']),
        scale[row['tested']],
        f'`{file}`',
    )
    assert (
        f'\n| {" | ".join(cells)} |\n'
        in (ROOT / 'docs/recipes.md').read_text()
    )
