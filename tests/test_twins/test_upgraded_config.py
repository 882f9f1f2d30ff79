"""Written configs of upgraded detectors.

1. With plain, composite and assisted detectors as their base, and all kinds
   of assistants, they have at most 20 lines and build what was asked for.
2. They repeat no default of an assistant, and name files beside them.
3. They tell DDP if a trained assistant has parameters that nothing reads.
"""

import pytest
import torch

from cbnet.config_files import read_config
from cbnet.models.backbones import STYLES
from cbnet.models.building import build_without_weights
from cbnet.models.members import settings_of
from cbnet.pretrained import names_a_file
from cbnet.testing import TINY_MEMBERS, tiny_detector
from cbnet.twins.assistants import find_assistant, with_weights
from cbnet.twins.fitting import UpgradeOptions
from cbnet.twins.trained import read_detector
from cbnet.twins.upgraded_config import write_config

FILE = dict(type='Pretrained', checkpoint='gone.pth')
RESNET = TINY_MEMBERS['resnet'] | dict(init_cfg=FILE)
CAFFE = dict(
    type='DetDataPreprocessor',
    mean=[103.53, 116.28, 123.675],
    std=[1.0, 1.0, 1.0],
)
SWIN = 'mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py'


def composite(member):
    return dict(type='CompositeBackbone', member=member, num_members=1)


BASES = {
    'plain': dict(backbone=RESNET),
    'Swin': dict(backbone=TINY_MEMBERS['swin'] | dict(init_cfg=FILE)),
    'caffe': dict(backbone=RESNET, data_preprocessor=CAFFE),
    'assisted': dict(type='AssistedDetector', base='RetinaNet'),
    'single': dict(backbone=composite(RESNET)),
    'listed': dict(backbone=composite([RESNET])),
    'recomputing': dict(
        backbone=composite(
            [dict(type='Member', backbone=RESNET, checkpoint=True)]
        )
    ),
}
OPTIONS = dict(scale=0.5, dtype='bfloat16')


@pytest.mark.parametrize('assistant', ['test_vit', SWIN])
@pytest.mark.parametrize('base', BASES)
def test_written_configs(base, assistant, tmp_path):
    model = tiny_detector('RetinaNet') | BASES[base]
    plain, out = tmp_path / 'plain.py', tmp_path / 'new.py'
    plain.write_text(f'model = {model}')
    detector = read_detector(str(plain))
    (tmp_path / 'w.pth').touch()
    found = with_weights(find_assistant(assistant), str(tmp_path / 'w.pth'))
    options = UpgradeOptions(**OPTIONS, leave_out=True)
    cfg, built = write_config(
        detector, found, out, tmp_path / 'start.pth', options
    )
    text = out.read_text()
    assert len(text.splitlines()) <= 20, text
    assert "checkpoint='{{ fileDirname }}/w.pth'" in text
    assert 'embed_dims' not in text  # as is the default
    assert cfg.load_from == str(tmp_path / 'start.pth')
    settings, lead = map(settings_of, built.backbone.adapters)
    assert settings.frozen and not settings.save_frozen
    assert (settings.scale, settings.dtype) == (0.5, 'bfloat16')
    assert (lead is not None) == (base == 'recomputing')
    first, last = built.backbone.members
    assert first.init_cfg['checkpoint'] == str(tmp_path / 'w.pth')
    assert not names_a_file(last.init_cfg)
    again = build_without_weights(read_config(out, 'new.py'))
    assert list(again.state_dict()) == list(built.state_dict())


@pytest.mark.parametrize('style', STYLES)
@pytest.mark.parametrize('kind', ['resnet', 'swin'])
def test_ddp_is_told_of_what_is_not_read(kind, style, tmp_path):
    plain, own = tmp_path / 'plain.py', tmp_path / 'own.py'
    plain.write_text(f'model = {tiny_detector("RetinaNet")}')
    own.write_text(f'backbone = {TINY_MEMBERS[kind]}')
    assistant, start = find_assistant(str(own)), tmp_path / 'start.pth'
    cfg, model = write_config(
        read_detector(str(plain)),
        assistant,
        tmp_path / 'new.py',
        start,
        UpgradeOptions(style=style, train=True),
    )
    backbone = model.backbone.train()
    sum(y.sum() for y in backbone(torch.rand(1, 3, 64, 64))).backward()
    unused = any(
        p.requires_grad and p.grad is None for p in backbone.parameters()
    )
    assert cfg.get('find_unused_parameters', False) == unused
