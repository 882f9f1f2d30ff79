"""Weights of the tiny detector, random in its connections too."""

import torch
from mmengine.config import Config
from mmengine.runner import save_checkpoint

from cbnet.testing import build_model

NAMES = ('red', 'blue')  # not those of the config


def save_weights(config, path, classes=NAMES, **meta):
    """Write a checkpoint as training does; give its path.

    Args:
        config: the config file of the detector.
        path: the file to write.
        classes: names in its metadata; None for none.
        meta: more of its metadata.
    """
    model = build_model(Config.fromfile(config).model)
    generator = torch.Generator().manual_seed(5)
    for weight in model.backbone.connections.parameters():
        weight.data.normal_(generator=generator)
    # Wide scores, so that every image has detections of both kinds.
    weight = model.roi_head.bbox_head.fc_cls.weight
    weight.data.normal_(std=2.0, generator=generator)
    if classes is not None:
        meta['dataset_meta'] = dict(classes=classes)
    save_checkpoint(dict(state_dict=model.state_dict(), meta=meta), str(path))
    return path
