"""Views of images as a test pipeline makes them, and lively detectors."""

from functools import partial

import numpy as np
import torch
from mmdet.registry import TRANSFORMS
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from torch import nn

from cbnet.testing import build_model, tiny_detector
from tests.test_models.detector_pairs import tiny_dual_swin_l

DETECTORS = [
    'FasterRCNN',
    'MaskRCNN',
    'CascadeRCNN',
    'HybridTaskCascade',
    'DualSwinL',
    'RetinaNet',
]


#: last layers of the heads -> the spread of their outputs
SPREADS = dict(
    rpn_cls=2.0,
    rpn_reg=0.3,
    fc_cls=1.5,
    fc_reg=1.0,
    conv_logits=3.0,
    retina_cls=1.0,
    retina_reg=0.3,
)


def make_detector(base, backbone=None, **test_cfg):
    """A tiny detector whose random heads tell classes and places apart."""
    if base == 'DualSwinL':
        cfg = tiny_dual_swin_l()
    else:
        cfg = tiny_detector(base, backbone)
    own = cfg['test_cfg']
    own = own.get('rcnn', own)
    own.update({**dict(score_thr=0.2, max_per_img=20), **test_cfg})
    torch.manual_seed(0)
    model = build_model(cfg)
    model.eval()
    for weight in model.parameters():
        if weight.ndim > 1:
            nn.init.kaiming_normal_(weight)
    handles = [
        layer.register_forward_hook(partial(_spread, spread))
        for name, layer in model.named_modules()
        if (spread := SPREADS.get(name.rpartition('.')[2]))
    ]
    predict(model, make_images(), (97, 65))
    for handle in handles:
        handle.remove()
    return model


def _spread(spread, layer, inputs, output):
    """Scale a layer by the spread of its first output."""
    if len(output) and not hasattr(layer, 'scaled'):
        layer.scaled = spread / output.std()
        layer.weight.data *= layer.scaled
        return output * layer.scaled
    return output


def make_images(count=2, size=(65, 97), seed=0):
    """Smooth images, uint8 (H, W, 3), that look different everywhere."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 7, 11, generator=generator)
    fine = nn.functional.interpolate(
        coarse, size, mode='bicubic', align_corners=False
    )
    pixels = (fine.clamp(0, 1) * 255).to(torch.uint8)
    return list(pixels.permute(0, 2, 3, 1).numpy())


def make_views(images, *views, pad=None):
    """Make a batch for a TTA model.

    Args:
        images: the images, (H, W, 3) each.
        views: the (width, height) of the Resize and the direction of the
            flip, or None, of each view.
        pad: the (width, height) of a Pad at the end of the pipeline.
    """
    return pseudo_collate(
        [_views_of(i, image, views, pad) for i, image in enumerate(images)]
    )


def predict(model, images, scale, pad=None):
    """Predict with the detector, without test-time augmentation."""
    batch = make_views(images, (scale, None), pad=pad)
    with torch.no_grad():
        return model.test_step({key: batch[key][0] for key in batch})


def _views_of(number, image, views, pad):
    made = []
    with DefaultScope.overwrite_default_scope('mmdet'):
        for scale, flip in views:
            steps = [
                dict(type='Resize', scale=scale, keep_ratio=True),
                dict(
                    type='RandomFlip',
                    prob=float(flip is not None),
                    direction=flip or 'horizontal',
                ),
                *([dict(type='Pad', size=pad)] if pad else []),
                dict(type='PackDetInputs'),
            ]
            made.append(
                Compose([TRANSFORMS.build(step) for step in steps])(
                    dict(
                        img=np.ascontiguousarray(image),
                        img_id=number,
                        img_path='',
                        img_shape=image.shape[:2],
                        ori_shape=image.shape[:2],
                    )
                )
            )
    return {key: [view[key] for view in made] for key in made[0]}
