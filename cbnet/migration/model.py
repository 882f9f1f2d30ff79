"""Convert the model of a published config: backbone, FPN and assistance.

docs/migrate.md lists what each setting becomes.
"""

from typing import Any

from ..converters.published_backbone import convert_published_backbone
from ..errors import UserValueError
from ..models.detectors import StageMeanHTCRoIHead
from .section import Section


def convert_model(top: Section) -> dict[str, Any]:
    """Convert the model, after the data, which settles its preprocessor."""
    model, state = top.section('model'), top.state
    base = model.take('type')
    if base is None:
        raise UserValueError('the config has no model; give a whole config')
    two_stage = all(model.values.get(h) for h in ('rpn_head', 'roi_head'))
    if state.normalize is None:
        top.note(
            'model.data_preprocessor',
            'no Normalize in the pipelines; images are not normalized',
        )
    new: dict[str, Any] = dict(
        type='AssistedDetector',
        base=base,
        # The published code has no option for weights or proposals.
        assistance=dict(
            weights=[0.5], proposals='lead' if two_stage else 'own'
        ),
        data_preprocessor=state.preprocessor(),
        backbone=_backbone(model),
    )
    if 'neck' in model.values:
        new['neck'] = _neck(model)
    for key in ('train_cfg', 'test_cfg'):
        if model.values.get(key) is None and key in top.values:
            model.values[key] = top.take(key)  # until mmdet 2.3
    if model.values.get('roi_head'):
        new['roi_head'] = _roi_head(model.section('roi_head'))
    return new | model.take_all()


def _backbone(model: Section) -> dict[str, Any]:
    backbone = dict(model.take('backbone') or {})
    pretrained = model.take('pretrained')
    if pretrained is not None:
        if backbone.pop('init_cfg', None) is not None:
            model.note(
                'backbone.init_cfg', 'left out, model.pretrained is used'
            )
        backbone['pretrained'] = pretrained
    composite = convert_published_backbone(backbone)
    frozen = composite['member'].get('frozen_stages')
    if frozen != backbone.get('frozen_stages'):
        model.note(
            'backbone.frozen_stages',
            f"{backbone['frozen_stages']} becomes {frozen}, because mmdet's "
            f'Swin counts from the first stage; it also freezes the output '
            f'norms of these stages',
        )
    return composite


def _neck(model: Section) -> Any:
    neck = model.take('neck')
    kind = neck.get('type') if isinstance(neck, dict) else None
    if kind not in ('CBFPN', 'FPN'):
        return neck  # also a list of necks
    neck = dict(neck, type='FPN')
    end = neck.get('end_level', -1)
    if end > 0:
        neck['end_level'] = end - 1
        model.note(
            'neck.end_level', f'{end} becomes {end - 1}, which 3.x includes'
        )
    return neck


def _roi_head(head: Section) -> dict[str, Any]:
    new: dict[str, Any] = {}
    if head.values.get('semantic_head'):
        new['semantic_head'] = _semantic_head(head.section('semantic_head'))
    new = head.take_all() | new
    if new.get('type') == 'HybridTaskCascadeRoIHead':
        new['type'] = StageMeanHTCRoIHead.__name__
    return new


def _semantic_head(head: Section) -> dict[str, Any]:
    """Give the head of HTC's semantic branch the losses of mmdet 2.x."""
    loss = dict(type='CrossEntropyLoss', ignore_index=255, loss_weight=0.2)
    loss |= head.take('loss_seg') or {}
    loss |= head.keep('loss_weight', ignore_label='ignore_index')
    loss['avg_non_ignore'] = True  # as torch's cross entropy did
    new = dict(head.take_all(), loss_seg=loss)
    if head.state.seg_scale is not None:
        new['seg_scale_factor'] = head.state.seg_scale
    return new
