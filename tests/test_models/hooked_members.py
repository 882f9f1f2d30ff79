"""Small members that run as they are, of every layout of maps."""

import torch

from cbnet.testing import build_model

IMAGE = torch.randn(2, 3, 97, 131)
VIT = dict(type='TimmBackbone', model_name='test_vit')
KINDS = {
    'NCHW': 'test_efficientnet',
    'NHWC': 'swin_tiny_patch4_window7_224',
    'tokens': 'test_vit3',
    'ordered tokens': 'hiera_tiny_224',
}
SMALL = {
    'swin_tiny_patch4_window7_224': dict(
        embed_dim=12,
        depths=(1, 1, 1, 1),
        num_heads=(1, 1, 2, 2),
        drop_path_rate=0.0,
    ),
    'hiera_tiny_224': dict(
        embed_dim=16, stages=(1, 1, 1, 1), num_heads=1, img_size=128
    ),
}


def composite(member, **options):
    """A composite whose connections add something."""
    torch.manual_seed(0)
    cfg = dict(type='CompositeBackbone', member=member, **options)
    model = build_model(cfg)
    for p in model.connections.parameters():
        p.data = torch.randn(p.shape) * 0.1
    return model


def gradients(model, image=IMAGE):
    model.zero_grad()
    pyramids = model(image, all_members=True)
    sum(y.square().mean() for p in pyramids for y in p).backward()
    return {n: p.grad.clone() for n, p in model.named_parameters()}


def member_of(kind):
    """Give the config of a small member; ``kind`` is a key of ``KINDS``."""
    name = KINDS[kind]
    return dict(type='TimmBackbone', model_name=name, **SMALL.get(name, {}))
