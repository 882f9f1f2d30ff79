"""Make pretrained files of every layout from tiny models, seeded."""

import timm
import torch

from cbnet.pretrained import load_into
from cbnet.testing import build_model

SWIN = dict(
    type='SwinTransformer',
    embed_dims=8,
    depths=(1, 1, 2, 1),
    num_heads=(1, 1, 2, 2),
    window_size=4,
)


def seeded(model, seed=0):
    """Give every weight a value that matters; double, in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if not value.is_floating_point():
            continue
        scale = value[0].numel() ** -0.5 if value.dim() > 1 else 0.1
        if 'position' in name:
            scale = 1.0  # a bias of some weight in the softmax
        if value.dim() == 1 and name.endswith(('weight', 'running_var')):
            value.uniform_(0.5, 1.5, generator=generator)
        else:
            value.normal_(0, scale, generator=generator)
    model.double()
    model.eval()
    return model


def timm_swin(window=4, image=64, **options):
    """Build timm's Swin of the size of ``SWIN``.

    timm shrinks windows to maps that are smaller; mmdet pads the maps.
    """
    return seeded(
        timm.create_model(
            'swin_tiny_patch4_window7_224',
            img_size=image,
            embed_dim=SWIN['embed_dims'],
            depths=SWIN['depths'],
            num_heads=SWIN['num_heads'],
            window_size=window,
            always_partition=True,
            **options,
        )
    )


def microsoft_names(model, window=4):
    """Turn a timm Swin's weights into what Microsoft's code saves.

    Patch merging ends a stage there; two kinds of buffers are saved.
    """
    weights = {}
    for name, value in model.state_dict().items():
        parts = name.split('.')
        if parts[2:3] == ['downsample']:
            parts[1] = str(int(parts[1]) - 1)
        if parts[:2] == ['head', 'fc']:
            parts = ['head', parts[2]]
        weights['.'.join(parts)] = value
    weights['layers.2.blocks.1.attn_mask'] = torch.zeros(4, 16, 16)
    for name in list(weights):
        if name.endswith('relative_position_bias_table'):
            index = name.replace('bias_table', 'index')
            weights[index] = torch.zeros(window**2, window**2).long()
    return weights


def member(cfg, seed=1):
    """Build a backbone with other weights than any file's."""
    return seeded(build_model(cfg), seed)


def load(backbone, file, prefix=None, source='net.pth'):
    """Load a file's content into a backbone with all its stages."""
    names = frozenset(backbone.state_dict())
    return load_into(backbone, file, names, source, prefix)


def agree(found, expected):
    """Compare pyramids of (B, C, H, W) maps, relative 1e-9."""
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() <= 1e-9 * theirs.abs().max()
