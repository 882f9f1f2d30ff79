"""Everything that cbnet registers checks its arguments.

1. whatever a registry of mmengine or mmdet holds of cbnet is validated;
2. a name that does not exist is refused, and similar names are offered;
3. a boolean is True or False; any other value at any argument is used or
   refused in one sentence;
4. mmengine's configs stand for dicts, and objects arrive as they were given.
"""

import inspect

import mmdet.registry
import mmengine.registry
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope, Registry

from cbnet.arguments import validated
from cbnet.errors import UserError
from cbnet.models import CompositeBackbone
from cbnet.testing import TINY_MEMBERS, build_model, tiny_detector

from .odd_values import ODD, fuzz, outcome


def registered():
    """Find by name what cbnet registers, in any registry."""
    return {
        name: (registry, found)
        for module in (mmengine.registry, mmdet.registry)
        for registry in vars(module).values()
        if isinstance(registry, Registry)
        for name, found in registry.module_dict.items()
        if found.__module__.partition('.')[0] == 'cbnet'
    }


REGISTERED = registered()
OPTIMIZER = dict(type='SGD', lr=0.1)
#: arguments with which each one builds
VALID = dict(
    AssistedDetector=lambda: dict(
        tiny_detector(), base='MaskRCNN', backbone=composite()
    ),
    ChannelsLastHook=dict,
    CheckedCocoMetric=dict,
    CheckedLoadImageFromFile=dict,
    CheckpointFitHook=dict,
    CompileHook=lambda: dict(parts=['neck']),
    CompositeBackbone=lambda: dict(member=dict(TINY_MEMBERS['resnet'])),
    CpuAmpOptimWrapper=lambda: dict(
        optimizer=torch.optim.SGD([torch.ones(1)], lr=0.1)
    ),
    CpuDataParallel=lambda: dict(module=3),  # needs a process group
    FoldedNormsHook=dict,
    GradientGuardHook=dict,
    LossGuardHook=dict,
    MaskTTAModel=lambda: dict(module=tiny_detector()),
    Member=lambda: dict(backbone=dict(TINY_MEMBERS['resnet'])),
    MemberLayerDecayConstructor=lambda: dict(
        optim_wrapper_cfg=dict(optimizer=OPTIMIZER)
    ),
    ResourcesHook=dict,
    RunLengthMasksHook=dict,
    SWAHook=dict,
    SafeCheckpointHook=dict,
    SafeStopHook=dict,
    SeededCorrupt=lambda: dict(corruption='fog', severity=1),
    SimpleFeaturePyramid=lambda: dict(in_channels=8, out_channels=8),
    StageMeanHTCRoIHead=lambda: _htc_head(),
    TimmBackbone=lambda: dict(model_name='test_resnet'),
    VerificationHook=dict,
)


def composite():
    return dict(type='CompositeBackbone', member=dict(TINY_MEMBERS['resnet']))


def _htc_head():
    head = tiny_detector('HybridTaskCascade')['roi_head']
    return {key: value for key, value in head.items() if key != 'type'}


def arguments_of(name):
    found = VALID[name]()
    found.pop('type', None)
    return found


def build(name, **arguments):
    registry, _ = REGISTERED[name]
    with DefaultScope.overwrite_default_scope('mmdet'):
        return registry.build(ConfigDict(arguments, type=name))


def own_parameters(name):
    found = REGISTERED[name][1]
    call = found.__init__ if inspect.isclass(found) else found
    if call is object.__init__:
        return {}
    return {
        key: parameter
        for key, parameter in inspect.signature(call).parameters.items()
        if key not in ('self', 'args')
        and parameter.kind is not parameter.VAR_KEYWORD
    }


def test_registered_means_validated():
    assert set(REGISTERED) == set(VALID)
    for name, (_, found) in REGISTERED.items():
        call = found.__init__ if inspect.isclass(found) else found
        assert inspect.unwrap(call) is not call, name
        target = call.validates
        assert target.__name__ == name
        assert inspect.isfunction(found) or target is found


@pytest.mark.parametrize('name', sorted(set(VALID) - {'CpuDataParallel'}))
def test_valid_arguments_build(name):
    assert build(name, **arguments_of(name)) is not None


@pytest.mark.parametrize('name', sorted(VALID))
def test_a_misspelt_name(name):
    for key in own_parameters(name):
        with pytest.raises(UserError) as raised:
            build(name, **{**arguments_of(name), f'{key}_': None})
        assert f"has no argument '{key}_'; did you mean" in str(raised.value)
        assert repr(key) in str(raised.value)
    if not own_parameters(name) and inspect.isclass(REGISTERED[name][1]):
        with pytest.raises(UserError, match="no argument 'x'; its arg.*none"):
            build(name, x=1)


BOOLEANS = [
    (name, key)
    for name in VALID
    for key, parameter in own_parameters(name).items()
    if isinstance(parameter.default, bool)
]


@pytest.mark.parametrize(('name', 'key'), BOOLEANS)
def test_a_boolean_is_a_boolean(name, key):
    for value in (0, 1, 'yes', None, [], torch.tensor(True)):
        with pytest.raises(UserError, match=f'{key}=.*; expected True or Fa'):
            build(name, **{**arguments_of(name), key: value})


KEYS = [(name, key) for name in VALID for key in own_parameters(name)]


@fuzz(150)
@given(st.sampled_from(KEYS), ODD)
def test_any_value(place, value):
    name, key = place
    arguments = {**arguments_of(name), key: value}
    assert outcome(lambda: build(name, **arguments)) in ('passes', 'clear')


def test_configs_are_dicts():
    for kind in (dict, ConfigDict, Config):
        member = kind(dict(TINY_MEMBERS['resnet']))
        connection = kind(dict(bias=True))
        model = CompositeBackbone(member, connection=connection)
        assert model.connections[0].options.bias is True
        assert model.adapters[0].cfg['depth'] == 18
    assistance = Config(dict(weights=[0.25]))
    cfg = dict(tiny_detector('RetinaNet', composite()), base='RetinaNet')
    cfg.update(type='AssistedDetector', assistance=assistance)
    assert build_model(cfg).assistant_weights == (0.25,)


def test_objects_arrive_as_they_were_given():
    @validated
    def take(a: dict[str, int], b: list[float], c: float = 0.0):
        return a, b, c

    a, b, c = ConfigDict(x=1), [1, 2], 3
    found = take(a, b=b, c=c)
    assert found[0] is a and found[1] is b and type(found[2]) is int
