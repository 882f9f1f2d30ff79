"""Detections in COCO's results format.

Boxes become xywh and masks become run lengths, sorted by score. If a detector
returns only masks, the boxes enclose them. An image without detections adds
no entries. The files are complete after every image, also if the disk is full.
"""

import json

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from cbnet.inference.inferencer import best_first
from cbnet.inference.results_file import GrowingList, ResultsFile

BOXES = [[4, 6, 30, 26], [50, 30, 90, 60]]


def predicted(boxes=BOXES, scores=(0.25, 0.75), labels=(1, 0), masks=True):
    sample = DetDataSample()
    found = InstanceData(
        bboxes=torch.tensor(boxes).float().reshape(-1, 4),
        scores=torch.tensor(scores).float(),
        labels=torch.tensor(labels).long(),
    )
    if masks:
        found.masks = torch.zeros(len(boxes), 64, 96, dtype=torch.bool)
        for mask, (x1, y1, x2, y2) in zip(found.masks, boxes, strict=True):
            mask[y1:y2, x1:x2] = True
    sample.pred_instances = found
    return sample


def entries_of(prediction, image_id=1):
    results = ResultsFile(['red', 'blue'])
    return results.add(dict(id=image_id), best_first(prediction))


def test_entries():
    entries = entries_of(predicted(), 9)
    assert [entry['score'] for entry in entries] == [0.75, 0.25]
    assert [entry['category_id'] for entry in entries] == [1, 2]
    assert [entry['bbox'] for entry in entries] == [
        [50, 30, 40, 30],
        [4, 6, 26, 20],
    ]
    for entry in entries:
        assert entry['image_id'] == 9
        rle = entry['segmentation']
        assert isinstance(rle['counts'], str) and rle['size'] == [64, 96]
        assert coco_mask.toBbox(rle).tolist() == entry['bbox']


def test_boxes_alone_and_masks_alone():
    entries = entries_of(predicted(masks=False))
    assert not any('segmentation' in entry for entry in entries)
    sample = predicted()
    sample.pred_instances.bboxes.zero_()  # mmdet's SOLO gives such boxes
    assert entries_of(sample) == entries_of(predicted())


@pytest.mark.parametrize('masks', [True, False])
def test_nothing_found(masks):
    sample = predicted(boxes=[], scores=(), labels=(), masks=masks)
    assert entries_of(sample) == []


def test_files_are_complete_after_every_image(tmp_path):
    results = ResultsFile(['red', 'blue'])
    meaning = results.open(tmp_path / 'new' / 'r.json')
    files = tmp_path / 'new' / 'r.json', meaning
    for count in range(4):
        entries, content = (json.loads(file.read_text()) for file in files)
        assert len(entries) == max(0, 2 * count - 2)
        assert [image['id'] for image in content['images']] == [*range(count)]
        assert [one['id'] for one in content['categories']] == [1, 2]
        assert content['annotations'] == []
        empty = dict(boxes=[], scores=(), labels=())
        found = predicted(**({} if count else empty))
        results.add(dict(id=count), best_first(found))
    assert (results.images, results.detections) == (4, 6)


class Full:
    """A file on a disk with room for less than one more item."""

    def __init__(self, file):
        self.file = file

    def write(self, content):
        if len(content) > 5:
            return self.file.write(content[:5])
        return self.file.write(content)

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_a_full_disk(tmp_path):
    path = tmp_path / 'a.json'
    growing = GrowingList(path)
    growing.add([1, 2])
    growing._file = Full(growing._file)
    with pytest.raises(OSError, match='No space left'):
        growing.add(['long'])
    assert json.loads(path.read_text()) == [1, 2]
    growing.add([3])
    assert json.loads(path.read_text()) == [1, 2, 3]
