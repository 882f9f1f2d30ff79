"""The picture sheet and the files it is made from.

Scenarios: one PNG of the expected size, its panels differing where the
detections differ from the truth; all ways to write a mask are read; boxes
come from masks where only masks are given; labels stay inside the picture
and apart from each other; images are picked evenly or by id; unknown ids,
missing files and files of different runs are refused by name.
"""

import json

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from pycocotools import mask as coco_mask

from cbnet.analysis import sheet
from cbnet.analysis.labels import LabelPlacer
from cbnet.analysis.panels import class_colours
from cbnet.analysis.sheet import picture_sheet
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
        out = picture_sheet(
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


def panels(pixels):
    """The two pictures of a sheet of one image."""
    top = sheet._MARGIN + sheet._TITLE + sheet._CAPTION
    left = sheet._MARGIN
    right = left + WIDTH + sheet._GUTTER
    return [pixels[top : top + 200, x : x + WIDTH] for x in (left, right)]


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_sheet_has_a_row_for_each_image(draw):
    rows = WIDTH * 64 // 96 + sheet._CAPTION + sheet._ROW_GAP
    width = 2 * WIDTH + sheet._GUTTER + 2 * sheet._MARGIN
    frame = 2 * sheet._MARGIN + sheet._TITLE + sheet._LEGEND_ROW
    for number in (1, 2, 4):
        pixels = draw([found()], num_images=number)
        assert pixels.shape == (frame + number * rows, width, 3)
    assert np.array_equal(draw([found()]), pixels)


def test_detections_stand_beside_ground_truth(draw):
    """Image 3 has no annotation: whatever is drawn is the detection."""
    detection = found(image_id=3)
    truth, detected = panels(draw([detection], image_ids=[3]))
    changed = np.abs(truth - detected).max(axis=2) > 30
    scale = WIDTH / 96
    inside = slice(int(10 * scale), int(30 * scale))
    assert changed[inside, inside].mean() > 0.9
    assert not changed[int(36 * scale) :].any()
    truth, detected = panels(draw([], image_ids=[3]))
    assert np.array_equal(truth, detected)


def test_ground_truth_is_drawn(draw):
    truth, detected = panels(draw([], image_ids=[2]))
    changed = np.abs(truth - detected).max(axis=2) > 30
    assert 0.1 < changed.mean() < 0.6


def test_masks_have_their_class_colours(draw):
    for category in (1, 2):
        detection = found(image_id=3, category_id=category)
        _, plain = panels(draw([], image_ids=[3]))
        _, marked = panels(draw([detection], image_ids=[3]))
        middle = slice(40, 80)
        mean = marked[middle, middle].mean(axis=(0, 1))
        colour = np.array(class_colours([1, 2])[category]) * 255
        half = (plain[middle, middle].mean(axis=(0, 1)) + colour) / 2
        assert np.abs(mean - half).max() < 6


def test_score_threshold(draw):
    weak = found(image_id=3, score=0.49)
    for threshold, drawn in ((0.5, False), (0.49, True)):
        sides = panels(draw([weak], image_ids=[3], score_thr=threshold))
        assert (np.abs(sides[0] - sides[1]).max() > 30) == drawn


def test_only_boxes_or_only_masks_do(draw, train):
    box = found(image_id=3, segmentation=None)
    mask = found(image_id=3, bbox=None)
    only_box, only_mask = (
        panels(draw([one], image_ids=[3]))[1] for one in (box, mask)
    )
    assert np.abs(only_box - only_mask).max() > 30
    (instance,) = CocoResults([mask], train).instances(3, 0.5)
    assert instance.box == (8, 8, 24, 24)
    (instance,) = CocoResults([box], train).instances(3, 0.5)
    assert instance.mask is None


def test_empty_mask_is_no_trouble(draw):
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


def test_labels_stay_inside_and_apart():
    figure = Figure((3, 2), 100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.05, 0.05, 0.9, 0.9))
    axes.set(xlim=(0, 90), ylim=(60, 0), aspect='equal')
    placer = LabelPlacer(axes)
    boxes = [
        (-5, -5, 20, 20),
        (0, 0, 20, 20),
        (80, 50, 15, 15),
        (85, 0, 5, 5),
        (30, 30, 20, 20),
        (30, 30, 20, 21),
    ]
    places = [placer.add('crescent 0.97', box, (1, 0, 0)) for box in boxes]
    frame = axes.get_window_extent()
    for number, place in enumerate(places):
        assert place.width > 40
        assert frame.x0 <= place.x0 and place.x1 <= frame.x1
        assert frame.y0 <= place.y0 and place.y1 <= frame.y1
        assert place.count_overlaps(places[:number]) == 0
    figure.canvas.draw()
    drawn = [text.get_bbox_patch().get_window_extent() for text in axes.texts]
    for place, patch in zip(places, drawn, strict=True):
        assert np.abs(place.extents - patch.extents).max() < 1.5


def test_images_are_picked_evenly(tiny_coco, tmp_path):
    content = json.loads((tiny_coco.root / 'train.json').read_text())
    content['images'] = [{'id': number} for number in range(10, 111)]
    many = CocoAnnotations(write(tmp_path / 'many.json', content))
    assert sheet._pick(many, None, 6) == [10, 30, 50, 70, 90, 110]
    assert sheet._pick(many, None, 1) == [10]
    assert len(set(sheet._pick(many, None, 500))) == 101
    assert sheet._pick(many, [44, 12], 6) == [44, 12]
    with pytest.raises(ValueError, match=r'\[3\].*many\.json'):
        sheet._pick(many, [44, 3], 6)


def test_colours_of_many_classes_differ():
    for number in (2, 8, 80):
        colours = class_colours(range(number))
        assert len({tuple(c) for c in colours.values()}) == number


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
        ({'image_id': 99}, 'number 1 has image_id 99, unknown to .*train.js'),
        ({'category_id': 9}, 'number 1 has category_id 9'),
        ({'score': None}, 'number 1 has no score'),
        ({'bbox': None, 'segmentation': None}, 'no bbox and no segm'),
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
        {'out_file': 'sheet.jpg'},
    ],
)
def test_bad_argument_is_named(tiny_coco, tmp_path, argument):
    arguments = {'out_file': tmp_path / 'sheet.png'} | argument
    with pytest.raises(ValueError, match=next(iter(argument))):
        picture_sheet(
            tiny_coco.root / 'train.json',
            tiny_coco.root / 'train',
            [],
            **arguments,
        )
    assert list(tmp_path.iterdir()) == []


def test_unfit_files_are_refused(tiny_coco, tmp_path):
    root, out = tiny_coco.root, tmp_path / 'sheet.png'
    with pytest.raises(ValueError, match='001.png is not a file: image_dir'):
        picture_sheet(root / 'train.json', root, [], out)
    with pytest.raises(ValueError, match='absent.json: the annotation file'):
        picture_sheet(root / 'absent.json', root / 'train', [], out)
    other = write(tmp_path / 'other.json', {'images': []})
    with pytest.raises(ValueError, match='other.json: annotations is nothing'):
        picture_sheet(other, root / 'train', [], out)
    empty = dict.fromkeys(('images', 'annotations', 'categories'), [])
    write(other, empty)
    with pytest.raises(ValueError, match='other.json lists no images'):
        picture_sheet(other, root / 'train', [], out)
    Image.new('RGB', (64, 96)).save(tmp_path / '001.png')
    with pytest.raises(ValueError, match='001.png is 64x96 pixels'):
        picture_sheet(root / 'train.json', tmp_path, [], out)
    assert not out.exists()


def test_command(tiny_coco, tmp_path, capsys):
    segm = write(tmp_path / 'r.segm.json', [found(bbox=None)])
    out = tmp_path / 'sheet.png'
    arguments = ['--ann', str(tiny_coco.root / 'train.json')]
    arguments += ['--images', str(tiny_coco.root / 'train')]
    arguments += ['--out', str(out), '--image-ids', '1', '4']
    sheet.main([*arguments, '--segm', str(segm), '--score-thr', '0.3'])
    with Image.open(out) as image:
        assert image.size[0] == 2 * 560 + 2 * sheet._MARGIN + sheet._GUTTER
    with pytest.raises(SystemExit):
        sheet.main(arguments)
    assert 'Give bbox_file, segm_file or both' in capsys.readouterr().err
