"""Detectors of mmdet's configs, shrunk by changing entries of the config."""

import copy

from cbnet.config_files import find_config

from .tiny_text_model import tiny_text_model

#: the backbones: what changes, and the factor of their channels
_WIDE = dict(ResNet=8, ResNetV1d=8, DetectoRS_ResNet=8)
_WIDTHS = dict(regnetx=([96, 192, 432, 1008], [32, 64, 160, 384]))
_FEWER = dict(
    num_queries=20,
    num_proposals=20,
    fc_out_channels=64,
    num_points=256,
    update_iter_interval=2,
    max_per_img=20,
    num_csp_blocks=1,
    deepen_factor=0.33,
    nms_pre=100,
    num_cp=0,
)
#: what images need that are too small for the queries of a whole model
_FEW_PLACES = dict(num_queries=20)
#: what several levels of a config may call the backbone's channels
_READERS = ('neck', 'panoptic_head', 'track_head', 'bbox_head', 'rpn_head')


def shrunk(model):
    """Return the config of a model, with smaller parts and without files.

    Its backbone may be a composite, whose member is shrunk.
    """
    model = _smaller(copy.deepcopy(model.to_dict()))
    detector = model.get('detector', model)
    if 'shared_head' in detector.get('roi_head', {}) or (
        'roi_head' in detector and not detector.get('neck')
    ):
        return model  # its head continues the backbone
    narrow = _shrink_backbone(detector['backbone'])
    readers = [name for name in _READERS if detector.get(name)]
    if detector.get('neck'):
        readers = ['neck']
    for name in readers:
        part = detector[name]
        part = part[0] if isinstance(part, list) else part
        channels = part['in_channels']
        several = isinstance(channels, list | tuple)
        part['in_channels'] = (
            type(channels)(map(narrow, channels))
            if several
            else narrow(channels)
        )
    return model


def few_queries(model):
    """Return the config of a model for small images, without files."""
    return _smaller(copy.deepcopy(model.to_dict()), _FEW_PLACES)


def _shrink_backbone(backbone):
    """Shrink a backbone; return what its channels become."""
    kind = backbone['type']
    if kind == 'CompositeBackbone':
        return _shrink_backbone(backbone['member'])
    if kind == 'TimmBackbone':  # a ViT
        backbone.update(embed_dim=16, num_heads=2, depth=4, groups=4)
        return lambda c: 16
    norm = (backbone.get('norm_cfg') or {}).get('type')
    if kind in _WIDE:
        base = 32 if norm == 'GN' else 64 // _WIDE[kind]
        backbone['base_channels'] = base
        return lambda c: c * base // 64
    if kind == 'ResNeXt':
        backbone.update(depth=50, groups=4, base_width=4, base_channels=16)
        return lambda c: c // 4
    if kind == 'Res2Net':
        backbone.update(depth=50, base_channels=16)
        return lambda c: c // 4
    if kind == 'ResNeSt':
        backbone.update(depth=50, base_channels=16, stem_channels=16)
        return lambda c: c // 4
    if kind == 'RegNet':
        backbone['arch'] = 'regnetx_400mf'
        return dict(zip(*_WIDTHS['regnetx'], strict=True)).__getitem__
    if kind == 'SwinTransformer':
        factor = backbone['embed_dims'] // 24
        backbone.update(embed_dims=24, depths=(1, 1, 1, 1))
        return lambda c: c // factor
    if kind == 'HourglassNet':
        backbone['stage_blocks'] = [1] * len(backbone['stage_blocks'])
    if kind == 'PyramidVisionTransformer':
        backbone['num_layers'] = [1, 1, 1, 1]
    return lambda c: c


def _smaller(value, most=_FEWER):
    if isinstance(value, list | tuple):
        return type(value)(_smaller(entry, most) for entry in value)
    if not isinstance(value, dict):
        return value
    for key, entry in value.items():
        value[key] = entry = _smaller(entry, most)
        if isinstance(entry, int | float) and key in most:
            value[key] = min(entry, most[key])
        # a transformer's
        if key == 'num_layers' and 'layer_cfg' in value and most is _FEWER:
            value[key] = 2
        # it reads the box heads' features
        if key == 'feat_relay_head' and most is _FEWER:
            entry['in_channels'] = most['fc_out_channels']
        if key == 'teacher_config' and isinstance(entry, str):
            name = entry.removeprefix('configs/')
            value[key] = str(find_config(f'mmdet::{name}'))
        if key == 'test_cfg' and isinstance(entry, dict):
            scored = entry.get('rcnn') or entry
            if isinstance(scored, dict) and 'score_thr' in scored:
                scored['score_thr'] = 0.0
        if entry == 'bert-base-uncased':
            value[key] = _text_model(entry)
        if key in ('teacher_ckpt', 'batch_augments', 'pretrained'):
            value[key] = None
        if key == 'init_cfg' and 'checkpoint' in str(entry):
            value[key] = None
    if value.get('type') in ('SyncBN', 'MMSyncBN'):
        value['type'] = 'BN'
    return value


def _text_model(name):
    try:
        return tiny_text_model()
    except ImportError:  # mmdet says that it needs the package
        return name


def classes_of(model):
    """Return the smallest number of classes that a part of a model has."""
    found = []

    def look(value):
        if isinstance(value, dict):
            for key, entry in value.items():
                if key in ('num_classes', 'num_things_classes'):
                    found.append(entry)
                look(entry)
        elif isinstance(value, list | tuple):
            for entry in value:
                look(entry)

    look(model)
    return min([n for n in found if isinstance(n, int)], default=1)
