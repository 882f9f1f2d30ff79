"""Files with any keys are converted, replicated and averaged, or refused.

Refused means: one sentence for the user.  What is converted accounts for
every tensor of the file.
"""

import torch
from hypothesis import given
from hypothesis import strategies as st

from cbnet.checkpoints.averaging import average_checkpoints
from cbnet.checkpoints.weight_files import find_weights
from cbnet.converters.published_detector import published_weights
from cbnet.converters.published_weights import convert_published
from cbnet.converters.replicate import replicate, replicate_into, take_apart
from cbnet.testing import build_model, tiny_composite
from tests.test_arguments.odd_values import ODD, fuzz, outcome

PIECES = [
    'module', 'backbone', 'neck', 'roi_head', 'bbox_head', 'mask_head',
    'cb_modules', 'cb_linears', 'cb_', 'members', 'connections', 'layers',
    'layer1', 'stages', 'blocks', 'patch_embed', 'proj', 'projection',
    'absolute_pos_embed', 'downsample', 'reduction', 'norm', 'norm1', 'conv1',
    'bn1', 'attn', 'qkv', 'relative_position_bias_table', 'attn_mask', 'fc',
    'stem', 'shared_convs', 'conv_res', 'conv_offset', 'weight', 'bias',
    'num_batches_tracked', '0', '1', '2', '3', '4', '99', '-1', '', 'x', '²',
]  # fmt: skip
WHOLE = [
    'backbone.layer1.0.conv1.weight',
    'backbone.conv1.weight',
    'neck.fpn_convs.0.conv.weight',
    'backbone.cb_modules.0.conv1.weight',
    'backbone.cb_modules.1.layer1.0.conv1.weight',
    'cb_modules.0.patch_embed.proj.weight',
    'cb_modules.0.layers.0.blocks.0.attn.qkv.weight',
    'cb_modules.1.layers.0.downsample.reduction.weight',
    'cb_modules.1.absolute_pos_embed',
    'backbone.cb_linears.1.0.0.weight',
    'patch_embed.proj.weight',
    'layers.0.downsample.norm.weight',
    'patch_embed.projection.weight',
]
NAMES = (
    st.sampled_from(WHOLE)
    | st.lists(st.sampled_from(PIECES), max_size=6).map('.'.join)
    | st.text(max_size=8)
)
SHAPES = [(), (0,), (1,), (6,), (4, 2), (2, 8), (1, 5, 3), (4, 3, 1, 1)]
TENSORS = st.builds(
    lambda shape, kind: torch.ones(shape, dtype=kind),
    st.sampled_from(SHAPES),
    st.sampled_from([torch.float32, torch.float16, torch.int64, torch.bool]),
)
WEIGHTS = st.dictionaries(NAMES, TENSORS, min_size=1, max_size=8)
# What torch's safe loading reads; other files are refused before.
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


def file_of(weights, further):
    sections = st.sampled_from(['meta', 'ema_state_dict', 'steps', 'epoch'])
    return st.one_of(
        weights,
        st.builds(lambda w: dict(state_dict=w), weights),
        st.builds(
            lambda w, more: dict(more, state_dict=w),
            weights,
            st.dictionaries(sections, further | weights, max_size=2),
        ),
        st.dictionaries(NAMES, TENSORS | further, max_size=4),
    )


FILES = file_of(WEIGHTS, ODD)
SAVED = file_of(WEIGHTS, PLAIN)


def convert(file):
    weights, _ = published_weights(file)
    done = convert_published(weights)
    assert len(done.weights) + len(done.dropped) == len(weights)


@fuzz(150)
@given(FILES)
def test_published(file):
    assert outcome(lambda: convert(file)) in ('passes', 'clear')


MODEL = build_model(tiny_composite())


def put_into_members(file, num_members, stages):
    plain = take_apart(find_weights(file))
    found = replicate(plain, num_members, stages)
    assert plain.rest.items() <= found.items()
    first = {f'backbone.members.0.{name}' for name in plain.member}
    assert first <= found.keys()


@fuzz(150)
@given(FILES, st.integers(1, 3), st.sampled_from([None, 0, 1, 9]))
def test_replicated(file, num_members, stages):
    for call in (
        lambda: put_into_members(file, num_members, stages),
        lambda: replicate_into(take_apart(find_weights(file)), MODEL, 'a.py'),
    ):
        assert outcome(call) in ('passes', 'clear')


@fuzz(15)
@given(
    st.lists(SAVED, min_size=1, max_size=2),
    st.booleans(),
    st.sampled_from([None, 'averaged', 'trained']),
)
def test_averaged(tmp_path_factory, files, twice, take):
    folder = tmp_path_factory.mktemp('files')
    paths = []
    for k, file in enumerate(files * 2 if twice else files):
        paths.append(folder / f'{k}.pth')
        torch.save(file, paths[-1])
    call = lambda: average_checkpoints(paths, take)  # noqa: E731
    assert outcome(call) in ('passes', 'clear')
