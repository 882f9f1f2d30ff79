"""Files of EVA-02 reach the members of a composite ViT.

1. a file in the names of EVA-02's own code, bare or inside a detector, gives
   every member what timm's own conversion gives;
2. the kernel of the patches and the positions are resized as timm does it,
   and what differs in more than its size is refused.
"""

import pytest
import timm
import torch
from timm.models.eva import checkpoint_filter_fn

from cbnet.errors import UserValueError
from cbnet.testing import build_model

from .pretrained_files import seeded

SIZES = {
    'eva02_tiny_patch14_224': dict(),
    'eva02_base_patch14_224': dict(),
    # queries, keys and values together, and a norm inside the attention
    'eva02_base_patch14_224, fused': dict(
        qkv_fused=True, scale_attn_inner=True
    ),
}  # fmt: skip


def small(size, **options):
    """Give the name and arguments of a ViT with few and narrow blocks."""
    return dict(
        model_name=size.partition(',')[0],
        embed_dim=16, num_heads=2, depth=4,
        **SIZES[size], **dict(img_size=56) | options,
    )  # fmt: skip


def published(size):
    """A file in EVA-02's own names, written down from its code's modules."""
    arguments = small(size)
    model = timm.create_model(arguments.pop('model_name'), **arguments)
    file = {'mask_token': torch.zeros(1, 1, 16).double()}
    for name, value in seeded(model, seed=3).state_dict().items():
        *modules, leaf = name.split('.')
        if modules[:1] == ['blocks']:
            part, rest = modules[2], modules[3:]
            if part == 'attn' and leaf == 'bias' and rest != ['proj']:
                if rest != ['norm']:
                    rest, leaf = [], {'q_proj': 'q', 'v_proj': 'v'}[rest[0]]
                    leaf += '_bias'
            if part == 'attn' and rest == ['norm']:
                rest = ['inner_attn_ln']
            if part == 'mlp':
                rest = [
                    dict(
                        fc1='w12', fc1_g='w1', fc1_x='w2', fc2='w3',
                        norm='ffn_ln',
                    )[rest[0]]
                ]  # fmt: skip
            modules = [*modules[:2], part, *rest]
        file['.'.join([*modules, leaf])] = value
    for k in range(4):
        file[f'blocks.{k}.attn.rope.freqs_cos'] = torch.zeros(16, 8)
    return file


def dual(size, path, **options):
    cfg = small(size, **options)
    cfg['init_cfg'] = dict(type='Pretrained', checkpoint=str(path))
    member = dict(cfg, type='TimmBackbone')
    backbone = dict(type='CompositeBackbone', member=member, style='ahlc')
    return build_model(backbone).double()


def timms_own(file, member):
    own = {n: w for n, w in file.items() if 'head' not in n}
    return checkpoint_filter_fn(own, member.model)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('place', ['', 'backbone.net.'])
def test_names_of_its_own_code(size, place, tmp_path):
    file = published(size)
    inside = {place + name: value for name, value in file.items()}
    if place:
        inside['proposal_generator.weight'] = torch.zeros(3)
    torch.save(dict(model=inside), tmp_path / 'eva.pth')
    model = dual(size, tmp_path / 'eva.pth')
    model.init_weights()
    expected = timms_own(file, model.members[0])
    for member in model.members:
        for name, value in member.state_dict().items():
            theirs = expected[name.removeprefix('model.')]
            assert torch.equal(value, theirs), name
    assert len(model.members[0].state_dict()) > 40


@pytest.mark.parametrize('image', [64, 96])
def test_patches_of_another_size(image, tmp_path):
    size = 'eva02_base_patch14_224'
    file = published(size)
    torch.save(file, tmp_path / 'eva.pth')
    model = dual(size, tmp_path / 'eva.pth', patch_size=16, img_size=image)
    model.init_weights()
    first, second = model.members
    kernel = first.model.patch_embed.proj.weight
    assert kernel.shape == (16, 3, 16, 16)
    assert first.model.pos_embed.shape == (1, (image // 16) ** 2 + 1, 16)
    expected = timms_own(file, first)
    for name, value in first.state_dict().items():
        assert torch.equal(value, expected[name.removeprefix('model.')])
    assert second.state_dict().keys() < first.state_dict().keys()


def test_what_cannot_be_resized(tmp_path):
    size = 'eva02_base_patch14_224'
    for name, shape in {
        'pos_embed': (1, 18, 16),  # not a square
        'patch_embed.proj.weight': (16, 4, 14, 14),
    }.items():
        arguments = small(size)
        plain = timm.create_model(arguments.pop('model_name'), **arguments)
        file = plain.state_dict() | {name: torch.zeros(shape)}
        torch.save(file, tmp_path / 'eva.pth')
        model = dual(size, tmp_path / 'eva.pth', patch_size=16, img_size=96)
        with pytest.raises(UserValueError) as raised:
            model.init_weights()
        assert f'{name} {shape} instead of' in str(raised.value)
