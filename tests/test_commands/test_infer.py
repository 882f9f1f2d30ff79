"""The infer command: images, folders, videos, results.

Its detections equal those of ``init_detector`` with ``inference_detector``,
of ``DetInferencer`` and of ``tools/test.py``; ids are numbered or those of an
annotation file; a folder is read with its subfolders, in order; a file that
cannot be read is named and the others go on; a video has results for every
frame and is drawn.
"""

import json
import pickle
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmdet.apis import DetInferencer, inference_detector, init_detector
from mmengine.config import Config
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from cbnet.errors import UserError, UserValueError
from cbnet.inference import Inferencer

from .tiny_weights import NAMES


def read(path):
    return json.loads(Path(path).read_text())


def rows(labels, scores, boxes, rles):
    """What was found, best first: label, score, xyxy, mask."""
    found = zip(labels, scores, boxes, rles, strict=True)
    return sorted(
        (
            (int(label), float(score), [*map(float, box)], rle['counts'])
            for label, score, box, rle in found
        ),
        key=lambda row: -row[1],
    )


def entry_rows(entries, image_id):
    entries = [e for e in entries if e['image_id'] == image_id]
    assert entries == sorted(entries, key=lambda e: -e['score'])
    boxes = [coco_box(entry['bbox']) for entry in entries]
    return rows(
        [entry['category_id'] - 1 for entry in entries],
        [entry['score'] for entry in entries],
        boxes,
        [entry['segmentation'] for entry in entries],
    )


def coco_box(box):
    x, y, width, height = box
    return x, y, x + width, y + height


def encode(masks):
    rles = [coco_mask.encode(np.asfortranarray(m, np.uint8)) for m in masks]
    return [{**rle, 'counts': rle['counts'].decode()} for rle in rles]


def assert_same(found, expected, tolerance=1e-6):
    assert len(found) == len(expected) > 3
    assert {row[0] for row in expected} == {0, 1}
    for row, other in zip(found, expected, strict=True):
        assert row[0] == other[0]
        assert row[3] == other[3]
        assert row[1] == pytest.approx(other[1], abs=tolerance)
        assert row[2] == pytest.approx(other[2], abs=100 * tolerance)


def test_same_as_mmdet_and_as_testing(
    tiny_config, weights, tiny_coco, run_tool
):
    """One real command each; the folder is that of the test data set."""
    folder = tiny_coco.root / 'val'
    ran = run_tool('infer.py', tiny_config, weights, folder, '--device', 'cpu')
    assert ran.returncode == 0, ran.stdout
    entries = read(run_tool.folder / 'work_dirs/tiny/infer/results.json')

    tested = run_tool('test.py', tiny_config, weights, '--out', 'tested.pkl')
    assert tested.returncode == 0, tested.stdout
    with open(run_tool.folder / 'tested.pkl', 'rb') as file:
        images = pickle.load(file)  # noqa: S301 (written by the line above)

    model = init_detector(str(tiny_config), str(weights), device='cpu')
    inferencer = DetInferencer(
        str(tiny_config), str(weights), device='cpu', show_progress=False
    )
    for image_id, name in ((1, '001.png'), (2, '002.png')):
        found = entry_rows(entries, image_id)
        one = inference_detector(model, str(folder / name)).pred_instances
        masks = encode(one.masks.numpy())
        assert_same(found, rows(one.labels, one.scores, one.bboxes, masks))
        (one,) = inferencer(str(folder / name))['predictions']
        keys = ('labels', 'scores', 'bboxes', 'masks')
        assert_same(found, rows(*(one[key] for key in keys)))
        one = images[image_id - 1]['pred_instances']
        masks = [{**m, 'counts': m['counts'].decode()} for m in one['masks']]
        values = (one[key] for key in keys[:3])
        assert_same(found, rows(*values, masks))


def test_folder_and_what_is_written(infer, photos):
    status, output = infer(photos, '--score-thr', '0.9')
    assert status == 0, output
    out = infer.folder / 'work_dirs' / 'tiny' / 'infer'
    meaning = read(out / 'results.images.json')
    assert meaning['images'] == [
        dict(id=1, file_name='b.png', height=64, width=96),
        dict(id=2, file_name='more/a.png', height=64, width=96),
    ]
    names = [category['name'] for category in meaning['categories']]
    assert tuple(names) == NAMES
    entries = read(out / 'results.json')
    low = [entry['score'] for entry in entries if entry['score'] < 0.9]
    assert low  # the results hold what the drawn images do not show
    drawn = len(entries) - len(low)
    assert f'2 images, {len(entries)} detections' in output
    assert f'drawn     {drawn} with a score of 0.9 or more' in output
    for name in ('b.png', 'more/a.png'):
        drawn_image = np.asarray(Image.open(out / 'images' / name))
        assert drawn_image.shape == (427, 640, 3)  # enlarged, 64 of 96 pixels
    coco = COCO(out / 'results.images.json')  # as COCO's own tools read it
    assert len(coco.loadRes(str(out / 'results.json')).anns) == len(entries)

    again, output = infer(photos, '--score-thr', '0.9')
    assert again == 0 and read(out / 'results.json') == entries


def test_a_rotated_photo_is_taken_as_it_is_shown(infer, photos):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    photo = photos / 'rotated.jpg'
    Image.open(photos / 'b.png').save(photo, exif=exif, quality=95)
    status, output = infer(photo, '--out-dir', 'out')
    assert status == 0, output
    (image,) = read(infer.folder / 'out/results.images.json')['images']
    assert (image['height'], image['width']) == (96, 64)
    drawn = Image.open(infer.folder / 'out/images/rotated.jpg')
    assert drawn.size == (427, 640)


def test_threshold_is_only_for_drawing(infer, photos):
    results, images = [], []
    for threshold in ('0', '1'):
        status, output = infer(
            photos / 'b.png', '--score-thr', threshold, '--out-dir', threshold
        )
        assert status == 0, output
        out = infer.folder / threshold
        results.append(read(out / 'results.json'))
        images.append(np.asarray(Image.open(out / 'images' / 'b.png')))
    assert results[0] == results[1]
    assert np.abs(images[0].astype(int) - images[1]).mean() > 5


def test_batches_change_nothing_for_equal_sizes(infer, photos):
    results = []
    for size in ('1', '2'):
        status, output = infer(
            photos, '--batch-size', size, '--no-images', '--results',
            f'{size}.json',
        )  # fmt: skip
        assert status == 0, output
        results.append(read(infer.folder / f'{size}.json'))
    assert sorted(path.name for path in infer.folder.iterdir()) == [
        '1.images.json', '1.json', '2.images.json', '2.json',
    ]  # fmt: skip
    for image_id in (1, 2):
        pair = (entry_rows(found, image_id) for found in results)
        assert_same(*pair, tolerance=1e-4)


def test_unreadable_images_are_named_and_the_others_go_on(infer, photos):
    whole = (photos / 'b.png').read_bytes()
    (photos / 'a_cut.png').write_bytes(whole[: len(whole) // 2])
    (photos / 'text.jpg').write_text('not an image')
    (photos / 'empty.jpg').touch()
    (photos / 'notes.txt').write_text('not looked at')
    status, output = infer(photos, '--no-images', '--batch-size', '2')
    assert status == 1
    assert '2 images' in output and 'could not detect in 3:' in output
    for name in ('a_cut.png', 'text.jpg', 'empty.jpg'):
        assert f'image {photos / name} (' in output
    assert 'truncated' in output and 'Traceback' not in output
    assert 'left out  files that are not images: 1 .txt' in output
    out = infer.folder / 'work_dirs/tiny/infer'
    images = read(out / 'results.images.json')['images']
    # the numbers stay those of the folder's order
    assert [image['id'] for image in images] == [2, 4]
    ids = {entry['image_id'] for entry in read(out / 'results.json')}
    assert ids == {2, 4}


@pytest.mark.parametrize('size', [1, 4])
def test_images_that_stop_the_detector_are_named(
    infer, photos, size, monkeypatch
):
    narrow = photos / 'narrow.png'
    Image.new('RGB', (6400, 2)).save(narrow)
    Image.new('RGB', (30, 90)).save(photos / 'high.png')
    detect = Inferencer.detect

    def fail_at_high_ones(self, images):
        if any(data['img'].shape[0] == 90 for data in images):
            raise UserValueError('high')
        return detect(self, images)

    monkeypatch.setattr(Inferencer, 'detect', fail_at_high_ones)
    status, output = infer(photos, '--batch-size', size)
    assert status == 1
    assert '2 images' in output and 'could not detect in 2:' in output
    assert f'image {narrow} (6400x2) does not pass the pipeline' in output
    assert '\n  high' in output
    out = infer.folder / 'work_dirs/tiny/infer'
    images = read(out / 'results.images.json')['images']
    assert [image['file_name'] for image in images] == ['b.png', 'more/a.png']
    assert (out / 'images' / 'more' / 'a.png').is_file()


def test_a_failing_model_is_named(tiny_config, weights, photos, monkeypatch):
    inferencer = Inferencer(Config.fromfile(tiny_config), str(weights), 'cpu')

    def fail(batch):
        raise RuntimeError('out of memory')

    monkeypatch.setattr(inferencer.model, 'test_step', fail)
    path = photos / 'b.png'
    message = f'image {path} stops the detector: RuntimeError: out of memory'
    with pytest.raises(UserError, match=re.escape(message)):
        inferencer.detect([inferencer.read(path)])
    with pytest.raises(UserError, match='^an image stops the detector: '):
        inferencer.detect([inferencer.read(cv2.imread(str(path)))])


def test_what_was_found_is_kept_whatever_comes(infer, photos, monkeypatch):
    def stop(path, pixels):
        if path.name == 'a.png':
            raise KeyboardInterrupt

    monkeypatch.setattr('cbnet.commands.infer.write_image', stop)
    with pytest.raises(KeyboardInterrupt):
        infer(photos)
    out = infer.folder / 'work_dirs/tiny/infer'
    ids = {entry['image_id'] for entry in read(out / 'results.json')}
    assert ids == {1, 2}
    assert len(read(out / 'results.images.json')['images']) == 2


def test_a_drawing_that_fails_is_named(infer, photos, monkeypatch):
    def fail(*_):
        raise RuntimeError('no ink')

    monkeypatch.setattr('cbnet.commands.infer.draw_instances', fail)
    status, output = infer(photos)
    assert status == 1
    assert 'b.png: its detections cannot be drawn: RuntimeError' in output
    out = infer.folder / 'work_dirs/tiny/infer'
    assert len(read(out / 'results.images.json')['images']) == 2


def test_ids_of_an_annotation_file(infer, tiny_config, tiny_coco, tmp_path):
    content = read(tiny_coco.root / 'val.json')
    for image in content['images']:
        image['id'] += 40
    content['annotations'] = []
    content['categories'] = [
        dict(id=3, name='blue'),
        dict(id=7, name='red'),
    ]
    ann = tmp_path / 'ann.json'
    ann.write_text(json.dumps(content))
    folder = tiny_coco.root / 'val'
    status, output = infer(folder, '--ann', tiny_coco.root / 'val.json')
    assert status == 2
    assert 'lacks 2 of the 2 classes (red, blue); it has square' in output
    arguments = (folder, '--no-images', '--results', 'plain.json')
    assert infer(*arguments)[0] == 0
    arguments = (folder, '--no-images', '--results', 'ids.json')
    status, output = infer(*arguments, '--ann', ann)
    assert status == 0, output
    plain, ids = (read(infer.folder / f'{n}.json') for n in ('plain', 'ids'))
    for entry in plain:
        entry['image_id'] += 40
        entry['category_id'] = {1: 7, 2: 3}[entry['category_id']]
    assert plain == ids

    content['images'][0]['width'] = 64
    ann.write_text(json.dumps(content))
    status, output = infer(*arguments, '--ann', ann)
    assert status == 1
    assert '001.png has 96x64 pixels' in output
    assert 'for 64x64' in output and '1 image, ' in output
    del content['images'][0]
    ann.write_text(json.dumps(content))
    status, output = infer(*arguments, '--ann', ann)
    assert status == 2
    assert 'lacks 1 of the 2 images (001.png); it has 002.png' in output


@pytest.mark.parametrize(
    ('name', 'code'), [('clip.mp4', 'mp4v'), ('clip.avi', 'MJPG')]
)
def test_video(infer, make_video, name, code):
    status, output = infer(
        make_video(name, code), '--out-dir', 'out', '--batch-size', '2'
    )
    assert status == 0, output
    assert '3 frames' in output
    out = infer.folder / 'out'
    images = read(out / 'results.images.json')['images']
    assert [image['frame'] for image in images] == [0, 1, 2]
    assert {image['file_name'] for image in images} == {name}
    entries = read(out / 'results.json')
    assert {entry['image_id'] for entry in entries} == {1, 2, 3}
    drawn = cv2.VideoCapture(str(out / 'clip.mp4'))
    assert drawn.get(cv2.CAP_PROP_FPS) == 5
    assert drawn.get(cv2.CAP_PROP_FRAME_COUNT) == 3
    assert drawn.read()[1].shape[1] == 640


def test_red_stays_red(infer, tmp_path):
    """OpenCV's blue comes first, in files and in frames."""
    red = np.full((64, 96, 3), (30, 30, 200), np.uint8)
    cv2.imwrite(str(tmp_path / 'red.png'), red)
    code = cv2.VideoWriter.fourcc(*'mp4v')
    writer = cv2.VideoWriter(str(tmp_path / 'red.mp4'), code, 5, (96, 64))
    writer.write(red)
    writer.release()
    for name in ('red.png', 'red.mp4'):
        status, output = infer(
            tmp_path / name, '--score-thr', '1', '--out-dir', 'out'
        )
        assert status == 0, output
    image = cv2.imread(str(infer.folder / 'out' / 'images' / 'red.png'))
    _, frame = cv2.VideoCapture(str(infer.folder / 'out/red.mp4')).read()
    for pixels in (image, frame):
        blue, _, most = pixels.mean(axis=(0, 1))
        assert most > blue + 20


def test_video_that_ends_early_is_named(infer, make_video):
    path = make_video('long.avi', 'MJPG', count=30)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    status, output = infer(path, '--no-images')
    assert status == 1
    assert f'could not detect in 1:\n  {path}: it ends after ' in output


def test_inferencer_of_files_and_of_pixels(tiny_config, weights, photos):
    inferencer = Inferencer(Config.fromfile(tiny_config), str(weights), 'cpu')
    assert inferencer.classes == NAMES
    path = str(photos / 'b.png')
    one, other = (
        inferencer.detect([inferencer.read(image)])[0]
        for image in (path, cv2.imread(path))
    )
    assert len(one) > 3 and one.scores.tolist() == other.scores.tolist()
    assert one.scores.tolist() == sorted(one.scores.tolist(), reverse=True)
    with pytest.raises(OSError, match=r'gone.png is missing'):
        inferencer.read(photos / 'gone.png')
