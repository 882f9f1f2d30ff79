"""Files of foundation models in the names that their authors publish.

1. For the models of all presets, made small, such a file is loaded
   completely: every tensor and every map are those of the model that the file
   was made from; what is left over is accounted for.
2. A file that timm's model cannot compute is refused.
"""

import pytest
import torch

from cbnet.errors import UserValueError
from cbnet.twins.presets import PRESETS

from . import foundation_names as names
from .pretrained_files import agree, load, member

VIT = dict(depth=4, embed_dim=32, num_heads=2, img_size=64)
SMALL = {
    'dinov2': dict(VIT, img_size=56),
    'dinov3': dict(VIT),
    'dinov3-convnext': dict(depths=(1, 1, 2, 1), dims=(8, 8, 16, 24)),
    'pe-spatial': dict(VIT),
    'clip': dict(VIT),
    'siglip2': dict(VIT),
    'eva02': dict(VIT, img_size=56),
    'sam': dict(VIT, global_attn_indexes=(1, 3)),
}
PUBLISHED = {
    'dinov2': names.dinov2,
    'dinov3': names.dinov3,
    'dinov3-convnext': names.dinov3_convnext,
    'pe-spatial': names.pe,
    'clip': names.clip,
    'siglip2': names.siglip,
    'eva02': names.eva02,
    'sam': names.sam,
}


def small(preset, seed):
    kind = preset.rpartition('-')[0]
    cfg = dict(type='TimmBackbone', model_name=PRESETS[preset].model)
    return kind, member(cfg | SMALL[kind], seed)


@pytest.mark.parametrize('preset', PRESETS)
def test_published_names(preset):
    kind, theirs = small(preset, 0)
    _, ours = small(preset, 1)
    file = PUBLISHED[kind](theirs.model.state_dict())
    report = load(ours, dict(file))
    own = theirs.state_dict()
    assert len(report.loaded) == len(own)
    assert all(torch.equal(own[n], w) for n, w in ours.state_dict().items())
    images = torch.rand(1, 3, 64, 96, dtype=torch.double)
    with torch.no_grad():
        agree(ours(images), theirs(images))
    assert not report.new and not report.resized
    known = len(report.loaded) + len(report.ignored) + report.outside
    assert known == len(file)
    if kind not in ('dinov2', 'siglip2'):  # whose names are timm's
        assert report.renamed and 'name' in report.layout


def test_a_bias_that_is_not_computed():
    kind, ours = small('dinov3-s', 0)
    file = names.dinov3(ours.model.state_dict())
    file['blocks.1.attn.qkv.bias'] += 1
    words = r"net.pth'?: its blocks.1.attn.qkv.bias is not zero, .* _qkvb"
    with pytest.raises(UserValueError, match=words):
        load(ours, file)


def test_the_file_of_another_model():
    _, vit = small('dinov3-s', 0)
    _, convnext = small('dinov3-convnext-t', 0)
    file = names.dinov3_convnext(convnext.model.state_dict())
    with pytest.raises(UserValueError, match='does not fit TimmBackbone'):
        load(vit, file)
    file = names.dinov3(vit.model.state_dict())
    with pytest.raises(UserValueError, match='does not fit TimmBackbone'):
        load(convnext, file)
