"""Any value at any key of a config builds a model that runs, or is refused.

Refused means: one sentence for the user, whatever the value is.  What is
built computes a pyramid, and its booleans are booleans.
"""

import sys

import torch
from hypothesis import given
from hypothesis import strategies as st

from cbnet.models.building import on_meta
from cbnet.testing import (
    TINY_MEMBERS,
    build_model,
    tiny_composite,
    tiny_detector,
)

from .odd_values import ODD, changed, fuzz, outcome, table_of

MEMBERS = {
    name: TINY_MEMBERS[name] for name in ('resnet', 'swin', 'timm_resnet')
}
FURTHER = dict(
    resnet=dict(
        num_stages=4,
        strides=(1, 2, 2, 2),
        dilations=(1, 1, 1, 1),
        out_indices=(0, 1, 2, 3),
        style='pytorch',
        deep_stem=False,
        avg_down=False,
        frozen_stages=-1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=True,
        with_cp=False,
        zero_init_residual=True,
        init_cfg=None,
    ),
    swin=dict(
        mlp_ratio=4,
        strides=(4, 2, 2, 2),
        out_indices=(0, 1, 2, 3),
        qkv_bias=True,
        patch_norm=True,
        use_abs_pos_embed=False,
        frozen_stages=-1,
        norm_cfg=dict(type='LN'),
        init_cfg=None,
    ),
    timm_resnet=dict(
        out_indices=(0, 1, 2, 3),
        frozen_stages=-1,
        norm_eval=False,
        norm_cfg=dict(type='BN'),
        init_cfg=None,
        drop_rate=0.0,
    ),
)
COMPOSITE = dict(
    style='dhlc',
    shared_stages=0,
    connection=dict(
        norm_cfg=dict(type='BN'),
        bias=True,
        identity=False,
        normed_source=False,
        zero_init=True,
    ),
    out_indices=None,
    with_cp=False,
    frozen=False,
    init_cfg=None,
    num_members=2,
)


def composite(member):
    cfg = tiny_composite(member, **COMPOSITE)
    cfg['member'].update(FURTHER[member])
    return cfg


def detector():
    cfg = tiny_detector('RetinaNet', tiny_composite())
    assistance = dict(weights=[0.5], proposals='own', lead_statistics=True)
    cfg.update(
        type='AssistedDetector', base='RetinaNet', assistance=assistance
    )
    return cfg


def paths(cfg, start=()):
    """List the paths of all keys, and of one that does not exist."""
    yield (*start, 'num_member')
    for key, value in cfg.items():
        if start or key != 'type':  # mmengine's own: the outermost type
            yield (*start, key)
        if isinstance(value, dict):
            yield from paths(value, (*start, key))


def try_composite(cfg):
    """Build and run without numbers; check the booleans."""
    with on_meta():
        model = build_model(cfg)
        pyramids = model(torch.zeros(2, 3, 64, 64), all_members=True)
    assert len(pyramids) == model.num_members
    for pyramid in pyramids:
        assert len(pyramid) == len(model.out_indices)
    for value in (model.frozen, *(a.with_cp for a in model.adapters)):
        assert isinstance(value, bool)
    for connection in model.connections:
        options = connection.options
        for name in ('bias', 'identity', 'normed_source', 'zero_init'):
            assert isinstance(getattr(options, name), bool)


def try_detector(cfg):
    with on_meta():
        model = build_model(cfg)
    assert isinstance(model.lead_statistics, bool)


def changes_of(cfg):
    change = st.tuples(st.sampled_from(sorted(paths(cfg))), ODD)
    # Deeper keys first, so that every path still exists.
    return st.lists(change, min_size=1, max_size=2).map(
        lambda found: sorted(found, key=lambda change: -len(change[0]))
    )


CASES = {
    **{name: (composite(name), try_composite) for name in MEMBERS},
    'detector': (detector(), try_detector),
}


def run(case, changes):
    cfg, attempt = CASES[case]
    return outcome(lambda: attempt(changed(cfg, *changes)))


@fuzz(150)
@given(
    st.sampled_from(list(CASES)).flatmap(
        lambda case: st.tuples(st.just(case), changes_of(CASES[case][0]))
    )
)
def test_any_value_is_used_or_refused(drawn):
    assert run(*drawn) in ('passes', 'clear')


INITIALISERS = st.dictionaries(
    st.sampled_from(['std', 'layer', 'val', 'checkpoint', 'override', 'a']),
    ODD,
    max_size=2,
).flatmap(
    lambda cfg: st.sampled_from(['Normal', 'Constant', 'Pretrained']).map(
        lambda kind: dict(cfg, type=kind)
    )
)


@fuzz(40)
@given(INITIALISERS | st.lists(INITIALISERS, max_size=2) | ODD, st.booleans())
def test_any_initialiser(value, of_member):
    cfg = tiny_composite()
    (cfg['member'] if of_member else cfg)['init_cfg'] = value
    found = outcome(lambda: build_model(cfg).init_weights())
    assert found in ('passes', 'clear')


def test_unchanged():
    for case in CASES:
        assert run(case, []) == 'passes'


def report(case, examples):
    """Tell what became of many values, as many for each key."""
    found = []
    keys = sorted(set(paths(CASES[case][0])))

    def try_key(key):
        @fuzz(examples // len(keys) + 1)
        @given(ODD)
        def collect(value):
            changes = [(key, value)]
            found.append((changes, run(case, changes)))

        collect()

    for key in keys:
        try_key(key)
    return table_of(case, found)


if __name__ == '__main__':
    for name in CASES:
        sys.stdout.write(report(name, int(sys.argv[1])) + '\n')
