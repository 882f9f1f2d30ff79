"""Batches for detectors of images, videos and labels on a part of the data."""

import numpy as np

from cbnet.testing import make_batch

SIZE = (96, 128)
CLASSES = 'person', 'traffic light', 'cat'
#: models whose batches, in training or predictions, are frames of videos
VIDEOS = ('ByteTrack', 'MaskTrackRCNN', 'Mask2FormerVideo', 'QDTrack')


def semi_supervised(seed=0):
    """Images with labels, and twice the same images without."""
    data = dict(inputs={}, data_samples={})
    for branch in ('sup', 'unsup_teacher', 'unsup_student'):
        batch = make_batch(size=SIZE, seed=seed)
        for sample in batch['data_samples']:
            matrix = np.eye(3, dtype=np.float32)
            sample.set_metainfo(dict(homography_matrix=matrix))
        for key, value in batch.items():
            data[key][branch] = value
    return data


def batch_for(kind, num_classes=3, seed=0, masks=True, training=True):
    """Make a batch that the data preprocessor of a kind of model takes."""
    if kind == 'SoftTeacher':
        return semi_supervised(seed)
    # ByteTrack trains on images.
    if kind in VIDEOS and not (kind == 'ByteTrack' and training):
        from mmdet.testing._utils import demo_track_inputs  # after cbnet

        return demo_track_inputs(
            key_frames_inds=[0], image_shapes=(3, *SIZE), with_mask=True
        )
    batch = make_batch(size=SIZE, num_classes=min(num_classes, 3), seed=seed)
    for sample in batch['data_samples']:
        # The first class of COCO that is stuff, not a thing.
        sample.gt_sem_seg.sem_seg[:, :8] = 80
        sample.set_metainfo(dict(border=np.array([0, SIZE[0], 0, SIZE[1]])))
        sample.set_metainfo(dict(text=CLASSES))  # of open vocabularies
        if not masks:
            sample.gt_instances.pop('masks')
    return batch
