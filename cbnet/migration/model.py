"""The model of a published config: composite backbone, FPN, assistance.

====================================  ======================================
published                             here
====================================  ======================================
``type='MaskRCNN'``                   ``AssistedDetector``, ``base=`` it
``pretrained=FILE``                   ``backbone.member.init_cfg``
``backbone.type='CB...'``             ``CompositeBackbone``
``neck.type='CBFPN'``                 ``FPN``
``type='HybridTaskCascadeRoIHead'``   ``StageMeanHTCRoIHead``, which predicts
                                      as mmdet 2.x did
0.5 for the assistant, in the code    ``assistance.weights=[0.5]``
lead's proposals, in the code         ``assistance.proposals='lead'``
====================================  ======================================
"""

from typing import Any

from ..converters.published_backbone import convert_published_backbone
from ..errors import UserValueError
from ..models.detectors import StageMeanHTCRoIHead
from .section import Section
from .transforms import Moved

_HTC = 'HybridTaskCascadeRoIHead'


def convert_model(top: Section, moved: Moved) -> dict[str, Any]:
    """Take the model out of an old config.

    Args:
        top: the config; gives up ``model``, and ``train_cfg`` and
            ``test_cfg`` of configs that have them beside the model.
        moved: what left the pipelines for the model.

    Raises:
        ValueError: where there is no model, or for a backbone that is no
            published composite.
    """
    old = top.section('model')
    base = old.take('type')
    if base is None:
        raise UserValueError('the config has no model; give a whole config')
    model: dict[str, Any] = dict(type='AssistedDetector', base=base)
    two_stage = all(old.values.get(h) for h in ('rpn_head', 'roi_head'))
    # The published code has no option for either.
    model['assistance'] = dict(
        weights=[0.5], proposals='lead' if two_stage else 'own'
    )
    model['data_preprocessor'] = moved.preprocessor()
    if moved.normalize is None:
        top.report.append(
            'model.data_preprocessor: no Normalize found in the pipelines: '
            'images are fed as they are'
        )
    model['backbone'] = _backbone(old)
    if 'neck' in old.values:
        model['neck'] = _neck(old)
    heads = old.values
    old.values = {}
    for key in ('train_cfg', 'test_cfg'):
        if heads.get(key) is None and key in top.values:
            heads[key] = top.take(key)  # until mmdet 2.3
    if (heads.get('roi_head') or {}).get('type') == _HTC:
        heads['roi_head'] = dict(
            heads['roi_head'], type=StageMeanHTCRoIHead.__name__
        )
    semantic = (heads.get('roi_head') or {}).get('semantic_head')
    if semantic:
        heads['roi_head'] = dict(
            heads['roi_head'],
            semantic_head=_semantic_head(
                Section(semantic, 'model.roi_head.semantic_head', top.report),
                moved.seg_scale,
            ),
        )
    return model | heads


def _backbone(old: Section) -> dict[str, Any]:
    backbone = dict(old.take('backbone') or {})
    pretrained = old.take('pretrained')
    if pretrained is not None:
        if backbone.pop('init_cfg', None) is not None:
            old.note('backbone.init_cfg', 'left out, model.pretrained counts')
        backbone['pretrained'] = pretrained
    composite = convert_published_backbone(backbone)
    frozen = composite['member'].get('frozen_stages')
    if frozen != backbone.get('frozen_stages'):
        old.note(
            'backbone.frozen_stages',
            f"{backbone['frozen_stages']} is {frozen} in mmdet's Swin, which "
            f'counts from the first stage; it freezes the output norms of '
            f'these stages, too',
        )
    return composite


def _neck(old: Section) -> dict[str, Any]:
    neck = old.take('neck')
    if not isinstance(neck, dict):
        return neck
    neck = dict(neck)
    if neck.get('type') == 'CBFPN':
        neck['type'] = 'FPN'
    end = neck.get('end_level', -1)
    if neck.get('type') == 'FPN' and end > 0:
        neck['end_level'] = end - 1  # 2.x excluded it
        old.note(
            'neck.end_level', f'{end} is {end - 1} in 3.x, which includes it'
        )
    return neck


def _semantic_head(old: Section, scale: float | None) -> dict[str, Any]:
    """Give the head of HTC's semantic branch the losses of 2.x."""
    loss = dict(type='CrossEntropyLoss', ignore_index=255, loss_weight=0.2)
    loss.update(old.take('loss_seg') or {})
    names = dict(ignore_label='ignore_index', loss_weight='loss_weight')
    loss.update(old.rename(names))
    loss['avg_non_ignore'] = True  # as torch's cross entropy did
    head = dict(old.values, loss_seg=loss)
    if scale is not None:
        head['seg_scale_factor'] = scale
    return head
