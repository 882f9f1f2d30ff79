"""One tiny detector of mmdet for each family of served operators.

Scenarios, each from a config of mmdet, shrunk: it trains and predicts, and
reaches the operators it is for: deformable attention along its CUDA path
(equal to its CPU path), corner pools with soft-NMS and deformable shifts,
PISA's sampler, guided anchoring, CARAFE, RoIPool and its deformable forms,
deformable convolutions in a backbone, switchable atrous convolution, DyHead,
which convolves a level with the offsets of a finer one, and MMSyncBN.
"""

import pytest
import torch
from mmcv.ops import multi_scale_deform_attn as of_mmcv

from .tiny_detectors import (
    CHANNELS,
    build,
    load,
    predict_once,
    shrink_heads,
    shrink_resnet,
    train_once,
)

FASTER = 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
V1 = {
    'deform_conv_forward',
    'deform_conv_backward_input',
    'deform_conv_backward_parameters',
}
V2 = {'modulated_deform_conv_forward', 'modulated_deform_conv_backward'}
ALIGN = {'roi_align_forward', 'roi_align_backward'}
POOL = {'roi_pool_forward', 'roi_pool_backward'}
MOVED = {'deform_roi_pool_forward', 'deform_roi_pool_backward'}
CARAFE = {'carafe_forward', 'carafe_backward'}
MASKED = {'masked_im2col_forward', 'masked_col2im_forward'}
# A config, the depth of its ResNet, and what it reaches besides NMS.
OF_RESNETS = {
    'pisa': ('pisa/faster-rcnn_r50_fpn_pisa_1x_coco.py', 18, {'nms_match'}),
    'guided': (
        'guided_anchoring/ga-retinanet_r50-caffe_fpn_1x_coco.py',
        18,
        V1 | MASKED,
    ),
    'carafe': ('carafe/faster-rcnn_r50_fpn-carafe_1x_coco.py', 18, CARAFE),
    'dpool': ('dcn/faster-rcnn_r50_fpn_dpool_1x_coco.py', 18, MOVED),
    'mdpool': ('dcnv2/faster-rcnn_r50_fpn_mdpool_1x_coco.py', 18, MOVED),
    'roi_pool': (FASTER, 18, POOL),
    'dcn': ('dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py', 50, V1 | ALIGN),
    'dcnv2': ('dcnv2/faster-rcnn_r50-mdconv-c3-c5_fpn_1x_coco.py', 50, V2),
    'sac': ('detectors/cascade-rcnn_r50-sac_1x_coco.py', 50, V1),
}


@pytest.mark.parametrize('name', OF_RESNETS)
def test_detectors_of_resnets(name, reached):
    file, depth, operators = OF_RESNETS[name]
    model = load(file)
    shrink_resnet(model, depth)
    shrink_heads(model)
    if name == 'carafe':
        model.neck.upsample_cfg.update(compressed_channels=4, up_kernel=3)
    if name == 'sac':
        # Untrained, its weights grow the maps beyond all numbers otherwise.
        norm = dict(type='BN', momentum=1.0)
        model.backbone.update(norm_cfg=norm, norm_eval=False)
    if name == 'guided':
        model.test_cfg.update(loc_filter_thr=0.0)
    if name == 'roi_pool':
        layer = dict(type='RoIPool', output_size=7)
        model.roi_head.bbox_roi_extractor.roi_layer = layer
    elif name.endswith('dpool'):
        layer = model.roi_head.bbox_roi_extractor.roi_layer
        layer.update(output_channels=CHANNELS, deform_fc_channels=8)
    model = build(model)
    # Switchable convolution mirrors two pixels of the last map at its edge.
    size = (96, 96) if name == 'sac' else (64, 96)
    train_once(model, size)
    # mmcv's masked convolution takes one image at a time.
    found = predict_once(model, size, 1 if name == 'guided' else 2)
    assert all(0 < len(one) <= 100 for one in found)
    assert operators | {'nms'} <= reached


@pytest.mark.parametrize('kind', ['CornerHead', 'CentripetalHead'])
def test_corner_pools(kind, reached):
    model = load(
        'cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco.py'
        if kind == 'CornerHead'
        else 'centripetalnet/'
        'centripetalnet_hourglass104_16xb6-crop511-210e-mstest_coco.py'
    )
    assert model.bbox_head.type == kind
    # The heads' pools are 128 wide inside, whatever comes in.
    model.backbone.update(
        downsample_times=2,
        num_stacks=1,
        stage_channels=[CHANNELS] * 3,
        stage_blocks=[1] * 3,
        feat_channel=CHANNELS,
    )
    model.bbox_head.update(
        in_channels=CHANNELS, num_feat_levels=1, num_classes=3
    )
    model.test_cfg.update(corner_topk=40, score_thr=-1.0)
    model = build(model)
    size = (64, 64)
    train_once(model, size)
    assert all(len(one) for one in predict_once(model, size))
    assert 'softnms' in reached
    if kind == 'CentripetalHead':
        assert reached >= V1


def tiny_deformable_detr():
    model = load('deformable_detr/deformable-detr_r50_16xb2-50e_coco.py')
    shrink_resnet(model)
    model.neck.norm_cfg.num_groups = 4
    model.bbox_head.update(num_classes=3, embed_dims=CHANNELS)
    model.update(num_queries=20, test_cfg=dict(max_per_img=20))
    model.positional_encoding.num_feats = CHANNELS // 2
    for part in (model.encoder, model.decoder):
        part.num_layers = 1
        for key, config in part.layer_cfg.items():
            config.update(embed_dims=CHANNELS)
            if key == 'ffn_cfg':
                config.update(feedforward_channels=CHANNELS, ffn_drop=0.0)
            else:
                config.update(num_heads=2, dropout=0.0)
    model = build(model)
    model.init_weights()
    for name, parameter in model.named_parameters():
        if name.endswith('sampling_offsets.bias'):
            # Untrained samples hit the edges of maps, where the two differ.
            torch.nn.init.uniform_(parameter, -3, 3)
    return model


def test_deformable_attention(monkeypatch, reached):
    def as_on_cuda(value, shapes, places, weight):
        starts = shapes.prod(1).cumsum(0) - shapes.prod(1)
        return of_mmcv.MultiScaleDeformableAttnFunction.apply(
            value, shapes, starts, places, weight, 64
        )

    results = []
    for cuda in (False, True):
        if cuda:
            name = 'multi_scale_deformable_attn_pytorch'
            monkeypatch.setattr(of_mmcv, name, as_on_cuda)
        model = tiny_deformable_detr()
        loss = train_once(model)
        grads = [
            parameter.grad
            for parameter in model.parameters()
            if parameter.grad is not None
        ]
        found = predict_once(model)
        assert all(len(one) for one in found)
        results.append((loss, found[0].scores, *grads))
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-4)
    assert {'ms_deform_attn_forward', 'ms_deform_attn_backward'} <= reached


def test_dyhead(reached):
    model = load('dyhead/atss_r50_fpn_dyhead_1x_coco.py')
    neck = model.neck[0]
    model.neck = neck
    shrink_resnet(model)
    shrink_heads(model)
    model.bbox_head.stacked_convs = 0
    dyhead = dict(type='DyHead', in_channels=CHANNELS, out_channels=CHANNELS)
    # Offsets start at zero; others tell the levels apart.
    model.neck = [neck, dict(dyhead, num_blocks=2, zero_init_offset=False)]
    model = build(model)
    train_once(model)
    assert all(len(one) for one in predict_once(model))
    assert reached >= V2


@pytest.mark.usefixtures('one_process')
def test_mmcvs_sync_bn(reached):
    model = load(FASTER)
    shrink_resnet(model)
    shrink_heads(model)
    # As in mmdet's strong baselines, which cannot be built without processes.
    norm = dict(type='MMSyncBN', requires_grad=True)
    model.backbone.update(norm_cfg=norm, norm_eval=False)
    model.neck.update(norm_cfg=norm)
    model = build(model)
    train_once(model)
    assert all(len(one) for one in predict_once(model))
    assert len([name for name in reached if name.startswith('sync_bn')]) == 5
