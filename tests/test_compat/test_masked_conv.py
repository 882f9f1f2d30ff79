"""MaskedConv2d through mmcv.ops.

Scenarios: equal to conv2d at the marked places and 0 elsewhere, kernels and
paddings that are not square; nothing marked; a mark outside the output;
float16, bfloat16 and autocast; a strided map; mmdet's guided anchor head,
whose mask it is.
"""

from pathlib import Path

import mmdet
import pytest
import torch
from mmcv.ops import MaskedConv2d
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine import Config

CONFIGS = Path(mmdet.__file__).parent / '.mim/configs/guided_anchoring'


def random_case(kernel, padding, seed=0):
    torch.manual_seed(seed)
    layer = MaskedConv2d(3, 5, kernel, padding=padding).double()
    return layer, torch.randn(1, 3, 6, 8).double()


def marked(size, inside):
    """A mask (1, *size) with about half of the places inside marked."""
    mask = torch.zeros(1, *size)
    rows, columns = (min(a, b) for a, b in zip(size, inside, strict=True))
    mask[:, :rows, :columns] = (torch.rand(rows, columns) > 0.5).float()
    mask[0, 0, 0] = mask[0, rows - 1, columns - 1] = 1
    return mask


@pytest.mark.parametrize(
    ('kernel', 'padding'),
    [(1, 0), (3, 1), ((3, 5), (1, 2)), ((1, 3), (2, 1)), (3, 0), (2, 3)],
)
def test_equals_the_plain_convolution(kernel, padding):
    layer, x = random_case(kernel, padding)
    plain = layer(x)
    mask = marked(x.shape[2:], plain.shape[2:])
    want = torch.zeros_like(plain)
    rows, columns = mask[0].nonzero(as_tuple=True)
    want[:, :, rows, columns] = plain[:, :, rows, columns]
    out = layer(x, mask)
    torch.testing.assert_close(out, want)
    assert torch.equal(out != 0, want != 0)


def test_nothing_marked():
    layer, x = random_case(3, 1)
    out = layer(x, torch.zeros(1, 6, 8))
    assert out.shape == (1, 5, 6, 8)
    assert not out.any()


@pytest.mark.parametrize('place', [(4, 0), (0, 6)])
def test_a_mark_outside_the_output(place):
    layer, x = random_case(3, 0)
    mask = torch.zeros(1, 6, 8)
    mask[0][place] = 1
    with pytest.raises(ValueError, match='4 x 6'):
        layer(x, mask)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('autocast', [False, True])
def test_narrow_maps(dtype, autocast):
    layer, x = random_case(3, 1)
    mask = marked((6, 8), (6, 8))
    want = layer(x, mask)
    layer, x = layer.to(torch.float32 if autocast else dtype), x.to(dtype)
    with torch.autocast('cpu', dtype=dtype, enabled=autocast):
        out = layer(x, mask)
    assert out.dtype == dtype
    unit = 4 * torch.finfo(dtype).eps
    torch.testing.assert_close(out.double(), want, rtol=unit, atol=unit)


def test_strided_map():
    layer, x = random_case(3, 1)
    mask = marked((6, 8), (6, 8))
    strided = x.to(memory_format=torch.channels_last)
    assert torch.equal(layer(strided, mask), layer(x, mask))


def guided_anchor_head():
    config = Config.fromfile(CONFIGS / 'ga-retinanet_r50_fpn_1x_coco.py').model
    config.bbox_head.update(in_channels=8, feat_channels=8, stacked_convs=1)
    return MODELS.build(
        dict(
            config.bbox_head,
            train_cfg=config.train_cfg,
            test_cfg=config.test_cfg,
        )
    )


def test_guided_anchor_head_of_mmdet():
    register_all_modules()
    head = guided_anchor_head()
    x = torch.randn(1, 8, 12, 16, requires_grad=True)
    head.train()
    everywhere = head.forward_single(x)
    sum(one.square().mean() for one in everywhere).backward()
    adapted = head.feature_adaption_cls
    for leaf in (x, adapted.conv_offset.weight, head.retina_reg.weight):
        assert torch.isfinite(leaf.grad).all()
        assert leaf.grad.any()
    head.eval()
    found = everywhere[3].sigmoid()[0, 0]
    head.loc_filter_thr = found.median().item()
    marked_only = head.forward_single(x)
    kept = found >= head.loc_filter_thr
    assert 0.4 < kept.float().mean() < 0.6
    for one, other in zip(marked_only[:2], everywhere[:2], strict=True):
        torch.testing.assert_close(one, other * kept)
