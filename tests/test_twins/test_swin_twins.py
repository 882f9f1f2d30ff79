"""Composite twins of plain configs with a Swin.

1. They share only the stem, as the published Swins do.
2. DDP is told of output norms that nothing reads.
3. With fewer output stages, the members still emit what connections read.
"""

import pytest
from mmengine.config import Config

from cbnet.twins import TwinOptions, compose

SWIN = '_base_ = "mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py"\n'


def test_a_swin_member_shares_only_its_stem(tmp_path):
    plain = tmp_path / 'plain.py'
    plain.write_text(SWIN)
    model, _ = compose(str(plain), tmp_path / 'twin.py', TwinOptions())
    assert model.backbone.shared_stages == 0
    assert model.backbone.out_indices == (0, 1, 2, 3)
    assert {p.device.type for p in model.parameters()} == {'meta'}


@pytest.mark.parametrize(
    ('shared', 'weight', 'expected'),
    [(0, 0, False), (1, 0, True), (1, 0.5, False)],
)
def test_ddp_is_told_of_norms_that_nothing_reads(
    shared, weight, expected, tmp_path
):
    plain = tmp_path / 'plain.py'
    plain.write_text(SWIN)
    options = TwinOptions(weights=weight, shared_stages=shared)
    compose(str(plain), tmp_path / 'twin.py', options)
    twin = Config.fromfile(tmp_path / 'twin.py')
    assert twin.get('find_unused_parameters', False) is expected


def test_a_swin_member_with_fewer_output_stages(tmp_path):
    plain = tmp_path / 'plain.py'
    plain.write_text(
        SWIN + 'model = dict(backbone=dict(init_cfg=None, '
        'out_indices=(1, 2, 3)), neck=dict(in_channels=[192, 384, 768]))'
    )
    model, _ = compose(str(plain), tmp_path / 'twin.py', TwinOptions())
    assert model.backbone.out_indices == (1, 2, 3)
    assert model.backbone.members[0].out_indices == (0, 1, 2, 3)
