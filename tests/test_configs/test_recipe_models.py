"""Members, neck and heads of every published model equal the published ones.

Assigners, losses, and the settings of proposals and tests do, too.
"""

import pytest

from .published_recipes import (
    MASKED,
    RECIPES,
    STDS,
    SWINS,
    cascades,
    cnns,
    each,
    htc,
    model_of,
    pretrained,
    single_stage,
    swins,
    where,
)


def box_heads(name):
    """Return the box heads of all stages."""
    heads = model_of(name).roi_head.bbox_head
    return heads if isinstance(heads, list) else [heads]


@each
def test_detector_and_assistance(name):
    model = model_of(name)
    assert model.type == 'AssistedDetector'
    assert model.base == RECIPES[name]['detector']
    assert model.assistance == dict(weights=[0.5], proposals='lead')


@each
def test_composite(name):
    backbone = model_of(name).backbone
    assert (backbone.num_members, backbone.style) == (2, 'dhlc')
    shared = 0 if RECIPES[name]['member'] in SWINS else 1
    assert backbone.shared_stages == shared


@each
def test_the_rest_of_the_composite_is_its_default(name):
    """The adapters of a family choose the operators of a connection."""
    backbone = model_of(name).backbone
    assert 'connection' not in backbone
    assert not backbone.get('with_cp')


@swins
def test_swin(name):
    member = model_of(name).backbone.member
    width, depth, heads, drop_path, _ = SWINS[RECIPES[name]['member']]
    member = {**member, 'depths': list(member['depths'])}
    del member['init_cfg']
    # Every other setting is mmdet's default, as published.
    assert member | dict(num_heads=list(member['num_heads'])) == dict(
        type='SwinTransformer',
        embed_dims=width,
        depths=[2, 2, depth, 2],
        num_heads=[heads * 2**i for i in range(4)],
        window_size=7,
        drop_path_rate=drop_path,
    )


@cnns
def test_cnn(name):
    member = model_of(name).backbone.member
    assert (member.frozen_stages, member.norm_eval) == (1, True)
    assert member.norm_cfg == dict(type='BN', requires_grad=True)
    assert (member.num_stages, member.style) == (4, 'pytorch')
    assert list(member.out_indices) == [0, 1, 2, 3]


@where(member=['r50'])
def test_resnet50(name):
    member = model_of(name).backbone.member
    assert (member.type, member.depth) == ('ResNet', 50)
    assert 'dcn' not in member


@where(member=['r2'])
def test_res2net101_dcn(name):
    member = model_of(name).backbone.member
    assert (member.type, member.depth) == ('Res2Net', 101)
    assert (member.scales, member.base_width) == (4, 26)
    assert list(member.stage_with_dcn) == [False, True, True, True]
    assert member.dcn == dict(
        type='DCNv2', deform_groups=1, fallback_on_stride=False
    )


@each
def test_pretrained_file(name):
    init = model_of(name).backbone.member.init_cfg
    assert init.type == 'Pretrained'
    assert init.checkpoint.endswith(pretrained(RECIPES[name]))


@each
def test_neck(name):
    width = SWINS.get(RECIPES[name]['member'], [256])[0]
    assert model_of(name).neck == dict(
        type='FPN',
        in_channels=[width * 2**i for i in range(4)],
        out_channels=256,
        num_outs=5,
    )


@each
def test_preprocessor(name):
    preprocessor = model_of(name).data_preprocessor
    assert preprocessor.mean == [123.675, 116.28, 103.53]
    assert preprocessor.std == [58.395, 57.12, 57.375]
    assert preprocessor.bgr_to_rgb
    assert preprocessor.pad_size_divisor == 32
    assert preprocessor.get('pad_mask', False) == (name in MASKED)


@each
def test_anchors(name):
    assert model_of(name).rpn_head.anchor_generator == dict(
        type='AnchorGenerator',
        scales=[8],
        ratios=[0.5, 1.0, 2.0],
        strides=[4, 8, 16, 32, 64],
    )


@single_stage
def test_rpn_of_one_stage(name):
    model = model_of(name)
    loss = dict(type='L1Loss', loss_weight=1.0)
    assert model.rpn_head.loss_bbox == loss
    assert model.train_cfg.rpn.allowed_border == -1
    assert model.train_cfg.rpn_proposal.max_per_img == 1000


@cascades
def test_rpn_of_cascades(name):
    model = model_of(name)
    loss = dict(type='SmoothL1Loss', beta=1 / 9, loss_weight=1.0)
    assert model.rpn_head.loss_bbox == loss
    assert model.train_cfg.rpn.allowed_border == 0
    assert model.train_cfg.rpn_proposal.max_per_img == 2000


@each
def test_proposals(name):
    model = model_of(name)
    tested = model.test_cfg.rpn
    assert model.train_cfg.rpn_proposal.nms_pre == 2000
    assert (tested.nms_pre, tested.max_per_img) == (1000, 1000)


@single_stage
def test_one_stage_of_heads(name):
    assert len(box_heads(name)) == 1


@cascades
def test_three_stages_of_heads(name):
    assert len(box_heads(name)) == 3
    assert model_of(name).roi_head.stage_loss_weights == [1, 0.5, 0.25]


@each
def test_boxes(name):
    agnostic = RECIPES[name]['agnostic'] == 'yes'
    for head, stds in zip(box_heads(name), STDS, strict=False):
        assert head.bbox_coder.target_stds == stds
        assert head.reg_class_agnostic == agnostic
        assert (head.fc_out_channels, head.num_classes) == (1024, 80)


@where(heads=['4conv1fc'])
def test_large_box_heads(name):
    for head in box_heads(name):
        assert head.type == 'ConvFCBBoxHead'
        assert (head.num_shared_convs, head.num_shared_fcs) == (4, 1)
        assert head.norm_cfg == dict(type='SyncBN', requires_grad=True)
        assert head.reg_decoded_bbox
        assert head.loss_bbox == dict(type='GIoULoss', loss_weight=10.0)


@where(heads=['2fc'])
def test_small_box_heads(name):
    heads = box_heads(name)
    for head in heads:
        assert head.type == 'Shared2FCBBoxHead'
        assert not head.get('reg_decoded_bbox')
        assert 'norm_cfg' not in head
        kind = 'SmoothL1Loss' if len(heads) == 3 else 'L1Loss'
        assert head.loss_bbox.type == kind
        assert head.loss_bbox.get('beta', 1.0) == 1.0


@each
def test_assigners(name):
    model = model_of(name)
    stages = model.train_cfg.rcnn
    # Only some models say False; the default of the class is True.
    low = model.base not in ('CascadeRCNN', 'FasterRCNN')
    stages = stages if isinstance(stages, list) else [stages]
    for number, stage in enumerate(stages):
        assigner, threshold = stage.assigner, 0.5 + number / 10
        assert assigner.pos_iou_thr == assigner.neg_iou_thr == threshold
        assert assigner.get('match_low_quality', True) == low


@where(tested=['800'])
def test_selection_at_800(name):
    tested = model_of(name).test_cfg.rcnn
    assert tested.score_thr == 0.05
    assert tested.nms == dict(type='nms', iou_threshold=0.5)


@where(tested=['1600'])
def test_selection_at_1600(name):
    tested = model_of(name).test_cfg.rcnn
    assert tested.score_thr == 0.001
    assert tested.nms == dict(type='soft_nms', iou_threshold=0.5)


@each
def test_number_of_detections(name):
    assert model_of(name).test_cfg.rcnn.max_per_img == 100


@pytest.mark.parametrize('name', MASKED)
def test_masks(name):
    assert model_of(name).test_cfg.rcnn.mask_thr_binary == 0.5


@htc
def test_hybrid_task_cascade(name):
    roi_head = model_of(name).roi_head
    assert roi_head.type == 'StageMeanHTCRoIHead'
    assert roi_head.interleaved
    assert roi_head.mask_info_flow


@htc
def test_mask_heads(name):
    heads = model_of(name).roi_head.mask_head
    assert [head.type for head in heads] == ['HTCMaskHead'] * 3
    first, *others = heads
    assert first.with_conv_res is False
    assert all('with_conv_res' not in head for head in others)


@htc
def test_semantic_head(name):
    semantic = model_of(name).roi_head.semantic_head
    assert (semantic.type, semantic.num_classes) == ('FusedSemanticHead', 183)
    assert (semantic.num_ins, semantic.fusion_level) == (5, 1)
    assert semantic.loss_seg == dict(
        type='CrossEntropyLoss',
        ignore_index=255,
        avg_non_ignore=True,
        loss_weight=0.2,
    )


@htc
def test_semantic_features(name):
    extractor = model_of(name).roi_head.semantic_roi_extractor
    assert extractor.featmap_strides == [8]
    assert extractor.roi_layer.output_size == 14


@htc
def test_semantic_maps_are_padded_with_class_0(name):
    preprocessor = model_of(name).data_preprocessor
    assert preprocessor.pad_seg
    assert preprocessor.seg_pad_value == 0
