"""The hook that compiles parts of a detector.

1. The losses are the same, the parts are compiled in place, and names of
   weights and copies are as before.
2. A part that is not there, or is of a composite, wherever that is, is
   refused; a plain backbone is not.
"""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch._dynamo.utils import counters

from cbnet.engine import CompileHook
from cbnet.testing import (
    build_model,
    make_batch,
    tiny_composite,
    tiny_detector,
)

EAGER = dict(backend='eager')


def losses(model):
    torch.manual_seed(0)
    data = model.data_preprocessor(make_batch(), True)
    found = model(**data, mode='loss')
    return model.parse_losses(found)[0]


def test_parts_are_compiled_in_place():
    torch._dynamo.reset()
    counters.clear()
    cfg = dict(
        tiny_detector('RetinaNet', tiny_composite()),
        type='AssistedDetector',
        base='RetinaNet',
        assistance=dict(weights=[0.5]),
    )
    model = build_model(cfg).train()
    names, expected = list(model.state_dict()), losses(copy.deepcopy(model))
    hook = CompileHook(['neck', 'bbox_head'], compile=EAGER)
    hook.before_run(SimpleNamespace(model=model))
    torch.testing.assert_close(losses(model), expected)
    assert counters['stats']['unique_graphs'] >= 2
    assert list(model.state_dict()) == names
    copied = copy.deepcopy(model)
    assert copied.neck._compiled_call_impl is None
    assert copied.state_dict().keys() == model.state_dict().keys()


@pytest.mark.parametrize(
    ('part', 'words'),
    [
        ('nek', "'nek', which is no module.*did you mean 'neck'"),
        ('backbone', 'model.backbone.compile=True'),
        ('backbone.members.0', 'model.backbone.compile=True'),
    ],
)
def test_what_is_refused(part, words):
    model = build_model(tiny_detector('RetinaNet', tiny_composite()))
    hook = CompileHook([part], compile=EAGER)
    with pytest.raises(ValueError, match=words):
        hook.before_run(SimpleNamespace(model=model))


def test_backbones_of_any_place():
    plain = build_model(tiny_detector('RetinaNet'))
    CompileHook(['backbone'], compile=EAGER).before_run(
        SimpleNamespace(model=plain)
    )
    assert plain.backbone._compiled_call_impl is not None
    inner = build_model(tiny_detector('RetinaNet', tiny_composite()))
    outer = torch.nn.ModuleDict(dict(student=inner))
    hook = CompileHook(['student.backbone.members'], compile=EAGER)
    with pytest.raises(ValueError, match='model.student.backbone.compile'):
        hook.before_run(SimpleNamespace(model=outer))
