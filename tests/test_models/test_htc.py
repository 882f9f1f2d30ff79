"""HTC as configs/_base_/models/htc.py has it: masks averaged over stages.

1. the probabilities that are pasted are the mean over the stages, with and
   without the semantic branch and the flow of features between the stages;
2. mmdet's own head keeps the last stage: once it does the same as ours, ours
   can go;
3. boxes, losses and names of parameters are mmdet's.
"""

import pytest
import torch

from cbnet.testing import build_model, make_batch, tiny_detector

from .detector_pairs import CONFIGS, losses_of

MMDET = 'HybridTaskCascadeRoIHead'


def htc(semantic=True, **options):
    cfg = tiny_detector(CONFIGS / '_base_/models/htc.py')
    cfg['roi_head'].update(options)
    if not semantic:
        del cfg['roi_head']['semantic_head']
        del cfg['roi_head']['semantic_roi_extractor']
    cfg['test_cfg']['rcnn']['score_thr'] = 0.0
    torch.manual_seed(0)
    model = build_model(cfg)
    for head in model.roi_head.mask_head:  # far apart, so that a mean shows
        torch.nn.init.normal_(head.conv_logits.weight)
    return model


def test_the_config_averages():
    roi_head = htc().roi_head
    assert type(roi_head).__name__ == 'StageMeanHTCRoIHead'
    assert roi_head.with_semantic and roi_head.mask_info_flow


def pasted(model, monkeypatch):
    """Predict; give the pasted probabilities, each stage's, and the boxes."""
    kept, stages = [], []
    heads = model.roi_head.mask_head
    paste = heads[-1].predict_by_feat

    def keep(mask_preds, **options):
        kept.extend(mask.clone() for mask in mask_preds)
        return paste(mask_preds=mask_preds, **options)

    def look(head, inputs, output):
        logits = output if isinstance(output, torch.Tensor) else output[0]
        stages.append(logits.sigmoid())

    monkeypatch.setattr(heads[-1], 'predict_by_feat', keep)
    hooks = [head.register_forward_hook(look) for head in heads]
    model.eval()
    with torch.no_grad():
        results = model.test_step(make_batch((2,)))
    for hook in hooks:
        hook.remove()
    return kept[0], stages, results[0].pred_instances.bboxes


@pytest.mark.parametrize('semantic', [True, False])
@pytest.mark.parametrize('mask_info_flow', [True, False])
def test_masks_are_the_mean_of_the_stages(
    semantic, mask_info_flow, monkeypatch
):
    ours = htc(semantic, mask_info_flow=mask_info_flow)
    masks, stages, boxes = pasted(ours, monkeypatch)
    assert len(stages) == 3 and len(boxes) > 0
    torch.testing.assert_close(masks, sum(stages) / 3)
    assert not any(h._forward_hooks for h in ours.roi_head.mask_head)


@pytest.mark.parametrize('semantic', [True, False])
def test_all_but_the_masks_is_mmdets(semantic, monkeypatch):
    ours, plain = htc(semantic), htc(semantic, type=MMDET)
    assert list(ours.state_dict()) == list(plain.state_dict())
    ours.load_state_dict(plain.state_dict())
    masks, _, boxes = pasted(ours, monkeypatch)
    last, stages, same_boxes = pasted(plain, monkeypatch)
    assert torch.equal(boxes, same_boxes)
    assert torch.equal(last, stages[-1])
    assert (masks - last).abs().max() > 0.01
    expected, found = losses_of(plain), losses_of(ours)
    assert ('loss_semantic_seg' in expected) == semantic
    assert found.keys() == expected.keys()
    assert torch.equal(
        ours.parse_losses(found)[0], plain.parse_losses(expected)[0]
    )
