"""cbnet upgrade: every mistake is one sentence that names what to change.

It exits with status 2 and leaves neither file nor folder.
"""

import pytest
import timm
import torch

from cbnet.testing import build_model, tiny_detector
from tests.test_twins.trained_detectors import write_trained

NO_MEMBER = 'To serve it with an adapter of its own, see docs/add_a_member.md'
DOWNLOAD = (
    'timm://vit_small_patch14_dinov2.lvd142m could not be downloaded: no way; '
    'without a network'
)
# options that replace those below, and what the sentence contains
MISTAKES = {
    'unknown preset': (dict(assistant='dinov2-x'), "mean 'dinov2-s' or"),
    'unknown model': (dict(assistant='resnet5o'), "mean 'resnet50"),
    'fewer stages': (
        dict(assistant='three.py'),
        'three.py has 3 stages with the strides [4, 8, 16], and the backbone '
        'of the detector has 4 with the strides [4, 8, 16, 32]',
    ),
    'no weights': (
        dict(assistant='three.py', weights=None),
        '--assistant three.py has no weights of its own; give its pretrained '
        'file with --assistant-weights',
    ),
    'no network': (dict(assistant='dinov2-s', weights=None), DOWNLOAD),
    'weights missing': (
        dict(weights='gone.pth'),
        "were not loaded: init_cfg.checkpoint='gone.pth': there is no such",
    ),
    'weights cut short': (dict(weights='cut.pth'), "'cut.pth' is cut short"),
    'weights a folder': (dict(weights='empty'), "'empty' is a folder"),
    'weights a text': (dict(weights='text'), "'text' is no checkpoint of to"),
    'weights of another model': (
        dict(weights='convnext.pth'),
        'the weights of --assistant test_vit were not loaded: '
        "checkpoint='convnext.pth' does not fit TimmBackbone, nothing was",
    ),
    'weights of a detector': (
        dict(weights='trained.pth'),
        'The file: a ResNet of basic blocks with depths (2, 2, 2, 2), 64 '
        'channels in layer4. The member: a plain vision transformer',
    ),
    'config missing': (dict(config='gone.py'), 'no config file gone.py'),
    'config of SSD': (
        dict(config='mmdet::ssd/ssd300_coco.py'),
        f'SSDVGG cannot be a member: a map added to the input of stage 1 '
        f'changes map 0, so its stages do not follow each other. {NO_MEMBER}',
    ),
    'config of HRNet': (
        dict(config='mmdet::hrnet/faster-rcnn_hrnetv2p-w18-1x_coco.py'),
        f'HRNet cannot be a member: a map added to the input of stage 1 does '
        f'not change map 2, so its stages do not follow each other. '
        f'{NO_MEMBER}',
    ),
    'config of Trident': (
        dict(config='mmdet::tridentnet/tridentnet_r50-caffe_1x_coco.py'),
        f'TridentResNet cannot be a member: in training it returns one map '
        f'for each branch. {NO_MEMBER}',
    ),
    'config of a composite': (
        dict(config='cbnet::cbnet/dual_r50.py'),
        'is composite already: model.backbone is a CompositeBackbone',
    ),
    'checkpoint missing': (dict(checkpoint='gone.pth'), 'gone.pth'),
    'checkpoint a folder': (
        dict(checkpoint='empty'),
        "CHECKPOINT='empty' is a folder",
    ),
    'checkpoint of another detector': (
        dict(checkpoint='retinanet.pth'),
        'retinanet.pth does not fit the model: ',
    ),
    'checkpoint with more classes': (
        dict(checkpoint='more.pth'),
        'fc_cls.bias (6,) instead of (4,), ',
    ),
    'checkpoint of another depth': (
        dict(checkpoint='deep.pth'),
        'deep.pth does not fit the model: the model lacks ',
    ),
    'checkpoint of averages alone': (
        dict(checkpoint='ema.pth'),
        'ema.pth holds no weights (it has ema_state_dict); expected them by',
    ),
    'images: none': (dict(images='empty'), '--images: no images in the fold'),
    'images: missing': (dict(images='gone'), '--images: no file or folder go'),
    'images: a video': (
        dict(images='clip.mp4'),
        '--images: clip.mp4 is a video, expected an image or a folder of im',
    ),
    'images: a broken one': (
        dict(images='broken.jpg'),
        'broken.jpg (4 bytes) is not an image that can be decoded',
    ),
    'out-dir a file': (dict(out='text'), 'argument --out-dir: text is a file'),
    'out-dir below a file': (dict(out='text/up'), 'text/up: text is a file'),
    'style': (dict(style='dhcl'), "argument --style: invalid choice: 'dhcl'"),
    'dtype': (dict(dtype='half'), "argument --dtype: invalid choice: 'half'"),
    'shape too small': (dict(shape='8'), '--shape: 8, expected 32 or more'),
    'shape absurd': (dict(shape='99999'), 'shape: 99999, expected 8192 or le'),
    'left out and trained': (
        dict(switch=['--leave-out-frozen', '--train-assistant']),
        '--leave-out-frozen leaves out weights that stay as they are',
    ),
    'nothing to remove': (
        dict(switch=['--remove']),
        'plain.py is not the config of an upgraded detector; give one that',
    ),
} | {
    f'scale {scale}': (
        dict(scale=scale),
        f'argument --scale: {scale}, expected above 0 and up to 8',
    )
    for scale in ('0', '-1', 'nan', '100')
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with a trained detector, an assistant, and wrong files."""
    folder = tmp_path_factory.mktemp('mistakes')
    write_trained('FasterRCNN', folder)
    for file, name in (('vit', 'test_vit'), ('convnext', 'test_convnext')):
        weights = timm.create_model(name).state_dict()
        torch.save(weights, folder / f'{file}.pth')
    whole = (folder / 'vit.pth').read_bytes()
    (folder / 'cut.pth').write_bytes(whole[: len(whole) // 2])
    (folder / 'text').write_text('text')
    (folder / 'clip.mp4').touch()
    (folder / 'broken.jpg').write_bytes(b'\xff\xd8\xff\xe0')
    (folder / 'empty').mkdir()
    (folder / 'three.py').write_text(
        "backbone = dict(type='ResNet', depth=18, num_stages=3, strides=(1, "
        '2, 2), dilations=(1, 1, 1), out_indices=(0, 1, 2))'
    )
    deep = dict(type='ResNet', depth=34, base_channels=8)
    others = {
        'retinanet': tiny_detector('RetinaNet', num_classes=4),
        'more': tiny_detector('FasterRCNN', num_classes=5),
        'deep': tiny_detector('FasterRCNN', deep),
    }
    for name, model in others.items():
        torch.save(build_model(model).state_dict(), folder / f'{name}.pth')
    trained = torch.load(folder / 'trained.pth', weights_only=True)
    averages = dict(ema_state_dict=trained['state_dict'])
    torch.save(averages, folder / 'ema.pth')
    return folder


@pytest.mark.parametrize('mistake', MISTAKES)
def test_a_mistake_ends_in_one_sentence(
    mistake, folder, run_command, monkeypatch
):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(timm, 'create_model', offline(timm.create_model))
    before = sorted(folder.rglob('*'))
    wrong, message = MISTAKES[mistake]
    options = dict(
        config='plain.py', checkpoint='trained.pth', out='up',
        assistant='test_vit', weights='vit.pth', shape='64', switch=[],
    )  # fmt: skip
    given = {n: v for n, v in (options | wrong).items() if v is not None}
    arguments = [given.pop('config'), given.pop('checkpoint')]
    arguments += [*given.pop('switch'), '--shape', given.pop('shape'), '96']
    names = dict(out='--out-dir', weights='--assistant-weights')
    for name, value in given.items():
        arguments.append(f'{names.get(name, f"--{name}")}={value}')
    status, said = run_command('upgrade', *arguments)
    assert status == 2
    error = said.splitlines()[-1]
    assert error.startswith('cbnet upgrade: error: '), said
    assert message in error, error
    assert sorted(folder.rglob('*')) == before


def offline(create):
    """Let timm's models be created, but not downloaded."""

    def create_model(name, **options):
        if options.get('pretrained'):
            raise ConnectionError('no way')
        return create(name, **options)

    return create_model
