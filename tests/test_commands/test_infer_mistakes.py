"""The infer command: whose names and weights count, and what is refused.

Names of classes come from the checkpoint; code in a checkpoint's config text
is not run; weights that do not fit are refused; every mistake is one line;
the images that the command has drawn are left out; files that are read are
not written.
"""

import json

import pytest
import torch

from .tiny_weights import save_weights


def test_config_text_in_a_checkpoint_is_not_run(infer, tiny_config, photos):
    mark = infer.folder / 'executed'
    text = f'open({str(mark)!r}, "w").close()\nmodel = dict(type="Nothing")\n'
    checkpoint = infer.folder / 'text.pth'
    save_weights(tiny_config, checkpoint, cfg=text)
    content = torch.load(checkpoint, weights_only=True)
    content['message_hub'] = dict(runtime_info=dict(cfg=text))
    torch.save(content, checkpoint)
    status, output = infer(photos, checkpoint=checkpoint)
    assert status == 0, output
    assert not mark.exists()


def test_names_come_from_the_config_where_a_file_has_none(
    infer, tiny_config, photos
):
    checkpoint = infer.folder / 'nameless.pth'
    save_weights(tiny_config, checkpoint, classes=None)
    status, output = infer(
        photos, '--results', 'r.json', checkpoint=checkpoint
    )
    assert status == 0, output
    meaning = json.loads((infer.folder / 'r.images.json').read_text())
    categories = meaning['categories']
    assert [c['name'] for c in categories] == ['square', 'triangle']


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ('model.backbone.num_members=3', 'backbone.connections.1.0_to_0.'),
        ('model.backbone.num_members=1', 'the model lacks '),
        ('model.backbone.style=slc', 'backbone.connections.0.0_to_1.'),
        ('model.backbone.style=ahlc', 'the model lacks '),
        ('model.roi_head.bbox_head.num_classes=5', 'bbox_head.fc_cls.'),
    ],
)
def test_weights_that_do_not_fit(infer, photos, changes, message):
    options = [changes]
    if 'num_members' in changes:
        options.append('model.assistance.weights=None')
    status, output = infer(photos, '--cfg-options', *options)
    assert status == 2
    error = output[output.index('error:') :]
    assert 'tiny.pth does not fit the model' in error
    assert message in error and error.count('\n') == 1


def test_mistakes_are_one_line(infer, weights, photos, make_video, tmp_path):
    def error(*arguments, **files):
        status, output = infer(*arguments, **files)
        assert status == 2, output
        line = output[output.index('error: ') :]
        assert line.count('\n') == 1
        return line

    empty = tmp_path / 'empty'
    empty.mkdir()
    assert f'no images in the folder {empty}; expected' in error(empty)
    for name in ('a.HEIC', 'b.heic', 'c.gif', '.hidden'):
        (empty / name).touch()
    message = f'no images in the folder {empty}, which has 2 .heic, 1 .gif; ex'
    assert message in error(empty)
    (empty / 'c.gif').unlink()
    assert 'no file or folder absent.jpg' in error('absent.jpg')
    assert 'no file or folder absent.mp4' in error('absent.mp4')
    assert 'neither an image nor a video' in error(weights)
    video = tmp_path / 'text.mp4'
    video.write_text('no video')
    assert f'{video} cannot be read as a video' in error(video)
    clip = make_video('clip.mp4', 'mp4v')
    assert 'would be overwritten' in error(clip, '--out-dir', tmp_path)
    assert '--ann is for images' in error(clip, '--ann', 'a.json')
    assert 'a.json' in error(photos, '--ann', 'a.json')
    assert '--score-thr: 2, expected a number from 0 to 1' in error(
        photos, '--score-thr', '2'
    )
    assert '--batch-size: 0' in error(photos, '--batch-size', '0')
    assert '--results: r.txt' in error(photos, '--results', 'r.txt')
    assert "device 'moon'" in error(photos, '--device', 'moon')
    assert 'no file gone.pth' in error(photos, checkpoint='gone.pth')
    assert 'gone.py' in error(photos, config='gone.py')
    cut = tmp_path / 'cut.pth'
    cut.write_bytes(weights.read_bytes()[:2000])
    assert f'{cut}' in error(photos, checkpoint=cut)
    torch.save(dict(state_dict={}), cut)
    assert f'{cut}: it holds no weights' in error(photos, checkpoint=cut)


def test_drawn_images_are_left_out(infer, photos):
    """A second run does not detect in what the first one has drawn."""
    for _ in range(2):
        status, output = infer(photos, '--out-dir', photos)
        assert status == 0, output
        assert '2 images' in output


@pytest.mark.parametrize(
    ('name', 'said'),
    [
        ('truth.json', '--results: truth.json is --ann; name another file'),
        ('truth.images.json', 'over --ann, truth.images.json; name another'),
    ],
)
def test_results_in_the_place_of_the_annotations(infer, photos, name, said):
    truth = infer.folder / name
    truth.write_text('{}')
    status, output = infer(photos, '--ann', name, '--results', 'truth.json')
    assert status == 2 and truth.read_text() == '{}'
    assert said in output
