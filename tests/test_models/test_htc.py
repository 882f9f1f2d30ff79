"""HTC's masks: the mean of its stages.

1. the probabilities that are pasted are the mean over the stages, with and
   without the flow of features between them; mmdet's own head, which keeps
   the last stage, gives other ones: when mmdet's does the same as ours, ours
   can go;
2. boxes, losses and names of parameters are mmdet's.
"""

import copy

import pytest
import torch

from cbnet.testing import build_model, make_batch, tiny_detector


def htc(kind, **options):
    cfg = tiny_detector('HybridTaskCascade')
    cfg['roi_head'].update(type=kind, **options)
    del cfg['roi_head']['semantic_head']
    del cfg['roi_head']['semantic_roi_extractor']
    cfg['test_cfg']['rcnn']['score_thr'] = 0.0
    torch.manual_seed(0)
    model = build_model(cfg)
    for head in model.roi_head.mask_head:  # far apart, so that a mean shows
        torch.nn.init.normal_(head.conv_logits.weight)
    return model


def pasted(model):
    """Predict; give what reaches the pasting of masks, and the boxes."""
    kept = []
    head = model.roi_head.mask_head[-1]
    paste = head.predict_by_feat
    head.predict_by_feat = lambda mask_preds, **options: (
        kept.extend(copy.deepcopy(mask_preds))
        or paste(mask_preds=mask_preds, **options)
    )
    stages = []
    hooks = [
        one.register_forward_hook(
            lambda _, __, out: stages.append(
                (out if isinstance(out, torch.Tensor) else out[0]).sigmoid()
            )
        )
        for one in model.roi_head.mask_head
    ]
    model.eval()
    with torch.no_grad():
        results = model.test_step(make_batch((2,)))
    for hook in hooks:
        hook.remove()
    return kept[0], stages, results[0].pred_instances.bboxes


@pytest.mark.parametrize('mask_info_flow', [True, False])
def test_masks_are_the_mean_of_the_stages(mask_info_flow):
    options = dict(mask_info_flow=mask_info_flow)
    plain = htc('HybridTaskCascadeRoIHead', **options)
    ours = htc('StageMeanHTCRoIHead', **options)
    assert list(ours.state_dict()) == list(plain.state_dict())
    ours.load_state_dict(plain.state_dict())
    masks, stages, boxes = pasted(ours)
    assert len(stages) == 3 and len(boxes) > 0
    torch.testing.assert_close(masks, sum(stages) / 3)
    if not mask_info_flow:
        return  # mmdet's own prediction fails there
    last, _, same_boxes = pasted(plain)
    assert torch.equal(boxes, same_boxes)
    assert torch.equal(last, stages[-1])
    assert (masks - last).abs().max() > 0.01
    assert not any(h._forward_hooks for h in ours.roi_head.mask_head)


def test_losses_are_mmdets():
    losses = []
    for kind in ('HybridTaskCascadeRoIHead', 'StageMeanHTCRoIHead'):
        model = htc(kind).train()
        batch = model.data_preprocessor(make_batch(), training=True)
        torch.manual_seed(1)
        loss, _ = model.parse_losses(model(**batch, mode='loss'))
        losses.append(loss)
    assert torch.equal(*losses)
