"""Published backbone arguments are converted.

1. arguments of CNNs and Swins, with the published defaults where mmdet's
   differ;
2. ``cb_del_stages`` of both families; ``frozen_stages`` of Swin freezes what
   the published number froze, and the output norms as well;
3. unknown types, arguments and values are errors that name the key.
"""

import pytest

from cbnet.converters import convert_published_backbone
from cbnet.testing import build_model


def test_arguments_of_a_cnn():
    cfg = dict(
        type='mmdet.CBRes2Net',
        depth=101,
        pretrained='open-mmlab://res2net101_v1d_26w_4s',
        dcn=dict(type='DCNv2'),
    )
    assert convert_published_backbone(cfg) == dict(
        type='CompositeBackbone',
        member=dict(
            type='Res2Net',
            depth=101,
            dcn=dict(type='DCNv2'),
            init_cfg=dict(
                type='Pretrained',
                checkpoint='open-mmlab://res2net101_v1d_26w_4s',
            ),
        ),
        num_members=2,
        style='dhlc',
        shared_stages=0,
        connection=dict(zero_init=True),
    )
    assert cfg['type'] == 'mmdet.CBRes2Net'  # left as it was


def test_arguments_of_a_swin():
    cfg = dict(
        type='CBSwinTransformer',
        embed_dim=128,
        depths=[2, 2, 18, 2],
        num_heads=[4, 8, 16, 32],
        window_size=7,
        mlp_ratio=4.0,
        qkv_bias=True,
        qk_scale=None,
        drop_rate=0.0,
        attn_drop_rate=0.0,
        drop_path_rate=0.3,
        ape=False,
        patch_norm=True,
        patch_size=2,
        in_chans=1,
        pretrain_img_size=384,
        out_indices=(0, 1, 2, 3),
        frozen_stages=-1,
        use_checkpoint=True,
        pretrained='swin.pth',
        cb_zero_init=False,
        cb_del_stages=3,
    )
    found = convert_published_backbone(cfg)
    assert isinstance(found['member']['mlp_ratio'], int)
    assert found == dict(
        type='CompositeBackbone',
        member=dict(
            type='SwinTransformer',
            embed_dims=128,
            depths=[2, 2, 18, 2],
            num_heads=[4, 8, 16, 32],
            window_size=7,
            mlp_ratio=4,
            qkv_bias=True,
            qk_scale=None,
            drop_rate=0.0,
            attn_drop_rate=0.0,
            drop_path_rate=0.3,
            use_abs_pos_embed=False,
            patch_norm=True,
            patch_size=2,
            strides=(2, 2, 2, 2),
            in_channels=1,
            pretrain_img_size=384,
            out_indices=(0, 1, 2, 3),
            frozen_stages=-1,
            with_cp=True,
            init_cfg=dict(type='Pretrained', checkpoint='swin.pth'),
        ),
        num_members=2,
        style='dhlc',
        shared_stages=2,
        connection=dict(zero_init=False),
    )


def test_published_defaults_of_a_swin():
    found = convert_published_backbone(dict(type='CBSwinTransformer'))
    assert found['member'] == dict(type='SwinTransformer', drop_path_rate=0.2)
    assert found['shared_stages'] == 0
    assert found['connection'] == dict(zero_init=True)


@pytest.mark.parametrize(
    ('kind', 'expected'),
    [
        ('CBResNet', {-1: None, 0: 0, 1: 1, 2: 2, 3: 3, 4: 4}),
        ('CBRes2Net', {-1: None, 0: 0, 1: 1, 2: 2, 3: 3, 4: 4}),
        (
            'CBSwinTransformer',
            {-1: None, 0: 0, 1: 0, 2: 1, 3: 2, 4: 3, 5: 4},
        ),
    ],
)
def test_shared_stages(kind, expected):
    found = {
        d: convert_published_backbone(dict(type=kind, cb_del_stages=d))[
            'shared_stages'
        ]
        for d in expected
    }
    assert found == expected


TINY = dict(
    type='CBSwinTransformer',
    embed_dim=8,
    depths=[1, 1, 1, 1],
    num_heads=[1, 1, 1, 1],
    ape=True,
    pretrain_img_size=32,
)


@pytest.mark.parametrize(
    ('published', 'frozen'),
    [
        (-1, set()),
        (0, {'patch_embed', 'absolute_pos_embed'}),
        (1, {'patch_embed', 'absolute_pos_embed'}),
        (2, {'patch_embed', 'absolute_pos_embed', 'stages.0', 'norm0'}),
        (
            4,
            {'patch_embed', 'absolute_pos_embed'}
            | {f'{part}{i}' for part in ('stages.', 'norm') for i in range(3)},
        ),
    ],
)
def test_frozen_stages_of_a_swin(published, frozen):
    cfg = dict(TINY, frozen_stages=published)
    composite = build_model(convert_published_backbone(cfg))
    for k, member in enumerate(composite.members):
        found = {
            '.'.join(name.split('.')[: 2 if name[:6] == 'stages' else 1])
            for name, p in member.named_parameters()
            if not p.requires_grad
        }
        stem = {'patch_embed', 'absolute_pos_embed'}
        assert found == (frozen - stem if k else frozen)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(type='ResNet'), "type='ResNet'.*CBResNet, CBRes2Net, CBSwin"),
        (dict(type=None), 'type=None; served'),
        (dict(cb_del_stages=5), 'cb_del_stages=5; expected -1 .* to 4'),
        (dict(cb_del_stages=-2), 'cb_del_stages=-2'),
        (dict(cb_del_stages=None), 'cb_del_stages=None'),
        (dict(use_dense=True), 'backbone.use_dense=True.*no such argument'),
        (dict(norm_evl=True), "norm_evl=True.*did you mean 'norm_eval'"),
        (
            dict(type='CBRes2Net', base_widht=26),
            "base_widht=26.*did you mean 'base_width'",
        ),
    ],
)
def test_not_served_of_a_cnn(options, message):
    cfg = dict(dict(type='CBResNet', depth=50), **options)
    with pytest.raises(ValueError, match=message):
        convert_published_backbone(cfg)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(cb_del_stages=6), 'cb_del_stages=6; expected -1 .* to 5'),
        (dict(cb_inplanes=[96, 96]), 'backbone.cb_inplanes='),
        (dict(embed_dims=96), "embed_dims=96.*did you mean 'embed_dim'"),
        (dict(use_dense=True), 'backbone.use_dense=True'),
        (dict(patch_norm=False), 'patch_norm=False: .*cannot be represented'),
        (dict(out_indices=(1, 2, 3)), r'out_indices=\(1, 2, 3\).*all four'),
        (dict(depths=[2, 2, 2]), r'depths=\[2, 2, 2\]: .*four stages'),
        (dict(mlp_ratio=2.5), 'mlp_ratio=2.5: .*whole numbers'),
    ],
)
def test_not_served_of_a_swin(options, message):
    cfg = dict(dict(type='CBSwinTransformer'), **options)
    with pytest.raises(ValueError, match=message):
        convert_published_backbone(cfg)
