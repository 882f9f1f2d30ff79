"""The configs after CB-EVA-02, made tiny, for several tests."""

from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

from cbnet.testing import tiny_detector

CONFIGS = Path(__file__).parents[2] / 'configs' / 'extensions'
#: the last block of each stage
CUTS = dict(dual_eva02_l=(2, 5, 20, 23), dual_eva02_b=(2, 5, 8, 11))
WIDTH = 16


def narrow(name, **options):
    """The backbone of a config, with its blocks made narrow."""
    cfg = Config.fromfile(CONFIGS / f'{name}.py').model.backbone.to_dict()
    cfg['member'].update(embed_dim=WIDTH, num_heads=2)
    cfg['member'].pop('init_cfg')
    return cfg | options


def tiny_vit_detector(name, **options):
    """The detector of a config, made tiny, with a block in each stage."""
    backbone = narrow(name)
    backbone['member'].update(dict(depth=4, groups=4) | options)
    cfg = tiny_detector(CONFIGS / f'{name}.py', backbone)
    cfg['neck'].update(in_channels=WIDTH)
    cfg['data_preprocessor']['batch_augments'][0]['size'] = (96, 96)
    # The value of mmdet's cascade ignores anchors that leave a small image.
    cfg['train_cfg']['rpn']['allowed_border'] = -1
    return cfg


def optimizer_of(model, name):
    wrapper = Config.fromfile(CONFIGS / f'{name}.py').optim_wrapper
    wrapper = ConfigDict(wrapper.to_dict() | dict(type='OptimWrapper'))
    with DefaultScope.overwrite_default_scope('mmdet'):
        return build_optim_wrapper(model, wrapper)
