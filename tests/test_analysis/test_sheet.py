"""The sheet of ground truth beside detections, and its input files.

The two sides of the sheet differ where the detections differ from the ground
truth. Every encoding of masks is read, and boxes come from the masks if
results have no boxes. Images are picked evenly or by id. Unknown ids, missing
files and files of different runs are refused by name.
"""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from cbnet.analysis.drawing import class_colours
from cbnet.analysis.sheet import detection_sheet, pick_images
from cbnet.datasets.annotations import CocoAnnotations
from cbnet.datasets.results import CocoResults, read_results

WIDTH = 300


def square_rle(x=8, y=8, edge=24, size=(64, 96)):
    mask = np.zeros(size, np.uint8, order='F')
    mask[y : y + edge, x : x + edge] = 1
    rle = coco_mask.encode(mask)
    return {'size': list(size), 'counts': rle['counts'].decode()}


def found(**changes):
    detection = {
        'image_id': 1,
        'category_id': 1,
        'bbox': [8, 8, 24, 24],
        'score': 0.9,
        'segmentation': square_rle(),
    }
    return {k: v for k, v in (detection | changes).items() if v is not None}


@pytest.fixture
def draw(tiny_coco, tmp_path):
    """Draw a sheet of the tiny data set; return its pixels."""

    def run(results, **arguments):
        out = detection_sheet(
            tiny_coco.root / 'train.json',
            tiny_coco.root / 'train',
            results,
            tmp_path / 'sub' / 'sheet.png',
            column_width=WIDTH,
            **arguments,
        )
        with Image.open(out) as image:
            return np.asarray(image.convert('RGB')).astype(int)

    return run


@pytest.fixture
def train(tiny_coco):
    return CocoAnnotations(tiny_coco.root / 'train.json')


def sides(pixels):
    """Cut the two images out of a sheet of one image.

    Below the captions and around the images the sheet is white; the images
    are random noise.
    """
    white = (pixels == 255).all(axis=2)
    rows = np.flatnonzero(white.mean(axis=1) < 0.3)
    pixels, white = pixels[rows[0] : rows[-1] + 1], white[rows]
    columns = np.flatnonzero(white.mean(axis=0) < 0.9)
    left, right = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
    width = min(len(left), len(right))
    return [pixels[:, side[0] : side[0] + width] for side in (left, right)]


def differing(one, other):
    return np.abs(one - other).max(axis=2) > 30


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_sheet_has_a_row_for_each_image(draw):
    sizes = [draw([found()], num_images=n).shape for n in (1, 2, 4)]
    assert all(2 * WIDTH < width < 2.2 * WIDTH for _, width, _ in sizes)
    heights = [height for height, *_ in sizes]
    row = heights[1] - heights[0]
    assert 200 < row < 260  # an image of 300 x 200 and its caption
    assert heights[2] - heights[1] == pytest.approx(2 * row, abs=1)


def test_the_same_sheet_twice_is_the_same(draw):
    one, other = (draw([found()], num_images=1) for _ in range(2))
    assert np.array_equal(one, other)


def test_detections_stand_beside_ground_truth(draw):
    """Image 3 has no annotation, so whatever differs is the detection."""
    detection = found(image_id=3)
    changed = differing(*sides(draw([detection], image_ids=[3])))
    scale = changed.shape[1] / 96
    inside = slice(int(10 * scale), int(30 * scale))
    assert changed[inside, inside].mean() > 0.8
    assert not changed[int(36 * scale) :].any()
    assert not differing(*sides(draw([], image_ids=[3]))).any()


def test_ground_truth_is_drawn(draw):
    changed = differing(*sides(draw([], image_ids=[2])))
    assert 0.1 < changed.mean() < 0.6


def test_classes_have_their_colours(draw):
    _, plain = sides(draw([], image_ids=[3]))
    middle = slice(40, 80)
    before = plain[middle, middle].mean(axis=(0, 1))
    moved = []
    for category in (1, 2):
        detection = found(image_id=3, category_id=category)
        _, marked = sides(draw([detection], image_ids=[3]))
        after = marked[middle, middle].mean(axis=(0, 1))
        colour = np.array(class_colours(2)[category - 1])
        # the visualizer varies the colour a little from object to object
        assert np.abs(after - colour).mean() < np.abs(before - colour).mean()
        moved.append(after)
    assert np.abs(moved[0] - moved[1]).max() > 60


def test_score_threshold(draw):
    weak = found(image_id=3, score=0.49)
    for threshold, drawn in ((0.5, False), (0.49, True)):
        pixels = draw([weak], image_ids=[3], score_thr=threshold)
        assert differing(*sides(pixels)).any() == drawn


def test_only_boxes_or_only_masks_do(draw, train):
    box = found(image_id=3, segmentation=None)
    mask = found(image_id=3, bbox=None)
    only_box, only_mask = (
        sides(draw([one], image_ids=[3]))[1] for one in (box, mask)
    )
    assert differing(only_box, only_mask).any()
    (instance,) = CocoResults([mask], train).instances(3, 0.5)
    assert instance.box == (8, 8, 24, 24)
    (instance,) = CocoResults([box], train).instances(3, 0.5)
    assert instance.mask is None


def test_an_empty_mask_can_be_drawn(draw):
    empty = {'image_id': 3, 'segmentation': square_rle(edge=0)}
    draw([found(**empty), found(bbox=None, **empty)], image_ids=[3])


def test_every_kind_of_mask_is_read(train, tiny_coco):
    content = json.loads((tiny_coco.root / 'train.json').read_text())
    kinds = set()
    for annotation in content['annotations']:
        segmentation = annotation['segmentation']
        kinds.add(
            type(segmentation)
            if isinstance(segmentation, list)
            else type(segmentation['counts'])
        )
        (mask,) = [
            instance.mask
            for instance in train.instances(annotation['image_id'])
            if list(instance.box) == annotation['bbox']
        ]
        assert mask.shape == (64, 96)
        assert mask.sum() == annotation['area']
    assert kinds == {list, str}
    plain = [a for a in content['annotations'] if a['iscrowd']]
    assert isinstance(plain[0]['segmentation']['counts'], list)


def test_detections_come_best_first(train):
    scores = [0.6, 0.9, 0.2, 0.7]
    results = CocoResults([found(score=score) for score in scores], train)
    best = [instance.score for instance in results.instances(1, 0.5)]
    assert best == [0.9, 0.7, 0.6]
    assert results.instances(2, 0.5) == []


def test_images_are_picked_evenly(tiny_coco, tmp_path):
    content = json.loads((tiny_coco.root / 'train.json').read_text())
    content['images'] = [{'id': number} for number in range(10, 111)]
    many = CocoAnnotations(write(tmp_path / 'many.json', content))
    assert pick_images(many, 6) == [10, 30, 50, 70, 90, 110]
    assert pick_images(many, 1) == [10]
    assert len(set(pick_images(many, 500))) == 101
    assert pick_images(many, 6, [44, 12]) == [44, 12]
    with pytest.raises(ValueError, match=r'\[3\].*many\.json'):
        pick_images(many, 6, [44, 3])


def test_colours_of_many_classes_differ():
    for number in (2, 8, 80):
        assert len(set(class_colours(number))) == number


def test_results_files_are_joined(tmp_path):
    boxes = [
        found(image_id=i, segmentation=None, score=i / 10) for i in (1, 2)
    ]
    masks = [found(image_id=i, bbox=None, score=0.3) for i in (1, 2)]
    bbox = write(tmp_path / 'r.bbox.json', boxes)
    segm = write(tmp_path / 'r.segm.json', masks)
    both = read_results(bbox, segm)
    assert both == [found(image_id=i, score=i / 10) for i in (1, 2)]
    assert read_results(bbox) == boxes
    assert read_results(segm_file=segm) == masks
    other = write(tmp_path / 'other.json', masks[::-1])
    with pytest.raises(ValueError, match='list different detections'):
        read_results(bbox, other)
    with pytest.raises(ValueError, match='neither'):
        read_results()
    for content in ({'annotations': []}, [1]):
        wrong = write(tmp_path / 'wrong.json', content)
        with pytest.raises(
            ValueError, match='wrong.json: contains .*expected a list'
        ):
            read_results(wrong)
    wrong.write_text('[')
    with pytest.raises(ValueError, match='wrong.json: not JSON'):
        read_results(wrong)
    with pytest.raises(
        ValueError, match='absent.json: the results file is not there'
    ):
        read_results(tmp_path / 'absent.json')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'image_id': 99}, r'\[1\]: image_id is 99, expected .*train.json'),
        ({'category_id': 9}, r'results\[1\]: category_id is 9'),
        ({'score': None}, r'results\[1\]: score is missing'),
        (
            {'bbox': None, 'segmentation': None},
            'bbox is missing.*or a segmentation instead',
        ),
        ({'segmentation': square_rle(size=(64, 64))}, r'expected \[64, 96\]'),
    ],
)
def test_unfit_results_are_refused(draw, change, message):
    with pytest.raises(ValueError, match=message):
        draw([found(), found(**change)])


@pytest.mark.parametrize(
    'argument',
    [
        {'score_thr': 1.5},
        {'num_images': 0},
        {'column_width': 10},
        {'image_ids': []},
        {'images_per_row': 0},
        {'out_file': 'sheet.gif'},
    ],
)
def test_bad_argument_is_named(tiny_coco, tmp_path, argument):
    arguments = {'out_file': tmp_path / 'sheet.png'} | argument
    with pytest.raises(ValueError, match=next(iter(argument))):
        detection_sheet(
            tiny_coco.root / 'train.json',
            tiny_coco.root / 'train',
            [],
            **arguments,
        )
    assert list(tmp_path.iterdir()) == []


def test_unfit_files_are_refused(tiny_coco, tmp_path):
    root, out = tiny_coco.root, tmp_path / 'sheet.png'
    with pytest.raises(ValueError, match='001.png is not a file: image_dir'):
        detection_sheet(root / 'train.json', root, [], out)
    with pytest.raises(ValueError, match='absent.json: the annotation file'):
        detection_sheet(root / 'absent.json', root / 'train', [], out)
    other = write(tmp_path / 'other.json', {'images': []})
    with pytest.raises(ValueError, match='other.json: it has no annotations'):
        detection_sheet(other, root / 'train', [], out)
    empty = dict.fromkeys(('images', 'annotations', 'categories'), [])
    write(other, empty)
    with pytest.raises(ValueError, match='other.json lists no images'):
        detection_sheet(other, root / 'train', [], out)
    Image.new('RGB', (64, 96)).save(tmp_path / '001.png')
    with pytest.raises(ValueError, match='001.png is 64x96 pixels'):
        detection_sheet(root / 'train.json', tmp_path, [], out)
    assert not out.exists()


def test_stored_pixels_are_shown(tiny_coco, tmp_path):
    """Annotations refer to them, whatever the EXIF rotation says."""
    root, out = tiny_coco.root, tmp_path / 'sheet.png'
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    with Image.open(root / 'train' / '001.png') as image:
        image.save(tmp_path / '001.png', exif=exif)
    detection_sheet(root / 'train.json', tmp_path, [], out, image_ids=[1])
    whole = (tmp_path / '001.png').read_bytes()
    (tmp_path / '001.png').write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OSError, match='001.png .* is cut short'):
        detection_sheet(root / 'train.json', tmp_path, [], out, image_ids=[1])


def test_a_compact_jpeg(tiny_coco, tmp_path):
    """Two images in a row, each shown twice."""
    root, out = tiny_coco.root, tmp_path / 'sheet.jpg'
    detection_sheet(
        root / 'train.json', root / 'train', [found()], out,
        column_width=285, images_per_row=2,
    )  # fmt: skip
    with Image.open(out) as image:
        assert image.format == 'JPEG'
        width, height = image.size
    assert 4 * 285 < width < 1210
    assert 2 * 190 < height < 500
