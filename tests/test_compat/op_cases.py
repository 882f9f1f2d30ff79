"""One small call of each served operator, through mmcv.ops where it can be.

A case takes how many rows (boxes, regions, images, queries) there are, 0 to
3, and a function that prepares a tensor: rounds it to the type under test and
asks for its gradient.  It returns what the operator computed.
"""

import sys
from collections.abc import Callable
from typing import NamedTuple

import torch
from mmcv import ops
from mmcv.ops import multi_scale_deform_attn

BOXES = torch.tensor([[0.0, 0, 8, 8], [0, 1, 8, 9], [4, 4, 12, 11]])
SCORES = torch.tensor([0.5, 0.75, 0.25])
ROIS = torch.tensor([[0.0, 0, 0, 8, 8], [1, 2, 1, 9, 6], [0, 4, 3, 12, 11]])


class Case(NamedTuple):
    """A call and the operators that it must reach."""

    reached: tuple[str, ...]
    run: Callable[..., list[torch.Tensor]]
    # What mmcv's Python half raises before it asks the operator.
    refuses_empty: type[Exception] | None


CASES: dict[str, Case] = {}


def case(*reached, refuses_empty=None):
    def register(run):
        CASES[run.__name__] = Case(reached, run, refuses_empty)
        return run

    return register


def values(*shape):
    g = torch.Generator().manual_seed(len(shape))
    return torch.randn(shape, generator=g)


def suppress(rows, prepare, kind, **options):
    """Thin out boxes by mmcv's function and, if there are any, in batches."""
    # mmcv has no gradient of either.
    boxes = prepare(BOXES[:rows]).detach()
    scores = prepare(SCORES[:rows]).detach()
    results = [getattr(ops, kind)(boxes, scores, 0.5, offset=1, **options)[0]]
    if rows:
        ids = torch.zeros(rows).long()
        config = dict(type=kind, iou_threshold=0.5, **options)
        results.append(ops.batched_nms(boxes, scores, ids, config)[0])
    return results


@case('get_compiler_version', 'get_compiling_cuda_version')
def build_info(rows, prepare):
    assert 'cbnet' in ops.get_compiler_version()
    assert 'cbnet' in ops.get_compiling_cuda_version()
    return []


@case('nms')
def nms(rows, prepare):
    results = suppress(rows, prepare, 'nms')
    assert [len(dets) for dets in results] == [min(rows, 2)] * len(results)
    return results


@case('softnms')
def soft_nms(rows, prepare):
    return [
        dets
        for method in ('naive', 'linear', 'gaussian')
        for dets in suppress(rows, prepare, 'soft_nms', method=method)
    ]


@case('nms_match')
def nms_match(rows, prepare):
    dets = prepare(torch.cat([BOXES, SCORES[:, None]], 1)[:rows])
    groups = ops.nms_match(dets, 0.5)
    assert [group.tolist() for group in groups] == [[1, 0], [2]][:rows]
    return []


@case('roi_align_forward', 'roi_align_backward')
def roi_align(rows, prepare):
    features = prepare(values(2, 3, 6, 7))
    layers = [
        ops.RoIAlign(2, 0.5, 2, mode, aligned)
        for mode, aligned in (('avg', True), ('max', False))
    ]
    return [layer(features, ROIS[:rows]) for layer in layers]


@case('roi_pool_forward', 'roi_pool_backward')
def roi_pool(rows, prepare):
    features = prepare(values(2, 3, 6, 7))
    return [ops.RoIPool(2, 0.5)(features, ROIS[:rows])]


@case('deform_roi_pool_forward', 'deform_roi_pool_backward')
def deform_roi_pool(rows, prepare):
    features = prepare(values(2, 3, 6, 7))
    offset = prepare(values(rows, 2, 2, 2))
    return [ops.deform_roi_pool(features, ROIS[:rows], offset, 2, 0.5, 2)]


@case('sigmoid_focal_loss_forward', 'sigmoid_focal_loss_backward')
def sigmoid_focal_loss(rows, prepare):
    target = torch.tensor([1, 0, 3])[:rows]
    weight = torch.tensor([0.5, 1.0, 2.0])
    layer = ops.SigmoidFocalLoss(2.0, 0.25, weight, 'sum')
    return [layer(prepare(values(3, 3)[:rows]), target)]


@case('softmax_focal_loss_forward', 'softmax_focal_loss_backward')
def softmax_focal_loss(rows, prepare):
    target = torch.tensor([1, 0, -1])[:rows]
    weight = torch.tensor([0.5, 1.0, 2.0])
    layer = ops.SoftmaxFocalLoss(2.0, 0.25, weight, 'sum')
    return [layer(prepare(values(3, 3)[:rows]), target)]


@case('ms_deform_attn_forward', 'ms_deform_attn_backward')
def ms_deform_attn(rows, prepare):
    # Places halfway between pixels survive any rounding.
    places = torch.tensor([0.25, 0.5, 0.75]).view(3, 1, 1, 1, 1, 1)
    out = multi_scale_deform_attn.MultiScaleDeformableAttnFunction.apply(
        prepare(values(1, 8, 2, 3)),
        torch.tensor([[4, 2]]),
        torch.tensor([0]),
        places[:rows].expand(-1, -1, 2, -1, 2, 2).transpose(0, 1),
        prepare(values(1, rows, 2, 1, 2).abs()),
        64,
    )
    return [out]


@case(
    'sync_bn_forward_mean',
    'sync_bn_forward_var',
    'sync_bn_forward_output',
    'sync_bn_backward_param',
    'sync_bn_backward_data',
)
def sync_bn(rows, prepare):
    layer = ops.SyncBatchNorm(4, stats_mode='N')
    return [layer(prepare(values(rows, 4, 2, 3))).sin()]


@case(
    'deform_conv_forward',
    'deform_conv_backward_input',
    'deform_conv_backward_parameters',
    refuses_empty=ValueError,
)
def deform_conv(rows, prepare):
    out = ops.deform_conv2d(
        prepare(values(rows, 4, 5, 6)),
        prepare(values(rows, 18, 5, 6) / 4),
        prepare(values(2, 4, 3, 3)),
        1,
        1,
    )
    return [out]


@case(
    'modulated_deform_conv_forward',
    'modulated_deform_conv_backward',
    refuses_empty=ValueError,
)
def modulated_deform_conv(rows, prepare):
    out = ops.modulated_deform_conv2d(
        prepare(values(rows, 4, 5, 6)),
        prepare(values(rows, 18, 5, 6) / 4),
        prepare(values(rows, 9, 5, 6).sigmoid()),
        prepare(values(2, 4, 3, 3)),
        prepare(values(2)),
        1,
        1,
    )
    return [out]


@case('masked_im2col_forward', 'masked_col2im_forward')
def masked_conv(rows, prepare):
    mask = torch.zeros(1, 5, 6)
    mask[0, 1, :rows] = 1
    operands = [prepare(values(*shape)) for shape in ((2, 4, 3, 3), (2,))]
    features = prepare(values(1, 4, 5, 6))
    out = ops.masked_conv2d(features, mask, *operands, 1)
    # mmcv has no gradient of it, and uses it only in predictions.
    return [out.detach()]


@case('carafe_forward', 'carafe_backward')
def carafe(rows, prepare):
    masks = prepare(values(rows, 9, 6, 8).softmax(1))
    return [ops.carafe(prepare(values(rows, 4, 3, 4)), masks, 3, 1, 2)]


@case('carafe_naive_forward', 'carafe_naive_backward')
def carafe_naive(rows, prepare):
    features = prepare(values(rows, 4, 3, 4))
    masks = prepare(values(rows, 9, 6, 8).softmax(1))
    out = ops.carafe_naive(features, masks, 3, 1, 2).detach()
    # mmcv's Python half asserts that this gradient is computed on CUDA.
    grads = [torch.zeros_like(one) for one in (features, masks)]
    sys.modules['mmcv._ext'].carafe_naive_backward(
        torch.ones_like(out),
        features,
        masks,
        *grads,
        kernel_size=3,
        group_size=1,
        scale_factor=2,
    )
    return [out, *grads]
