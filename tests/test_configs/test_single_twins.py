"""Compare twins and variants with the configs that they are derived from.

1. A single-member twin differs only in its members and weights.
2. A variant without the semantic branch differs only in that branch and its
   data.
"""

import pytest

from .published_recipes import CONFIGS, HTC, RECIPES, read


def flat(node, path=''):
    if isinstance(node, dict):
        for key, value in node.items():
            yield from flat(value, f'{path}.{key}')
    elif isinstance(node, list | tuple):
        yield f'{path}.len', len(node)
        for number, value in enumerate(node):
            yield from flat(value, f'{path}.{number}')
    else:
        yield path[1:], node


def differences(one, other):
    """Return the keys in which two resolved configs differ."""
    pairs = [dict(flat(read(name))) for name in (one, other)]
    return {
        key
        for key in set(pairs[0]) | set(pairs[1])
        if pairs[0].get(key, '-') != pairs[1].get(key, '-')
    }


PAIRS = sorted(
    path.stem.removeprefix('single_') for path in CONFIGS.glob('single_*.py')
)


def test_every_published_model_has_a_twin():
    without = {f'{name}_without_semantic' for name in HTC}
    assert {*RECIPES, *without} <= set(PAIRS)


@pytest.mark.parametrize('name', [p for p in PAIRS if p != 'quickstart'])
def test_single_twin_differs_only_in_its_members(name):
    found = differences(f'dual_{name}', f'single_{name}')
    assert found == {
        'model.backbone.num_members',
        'model.assistance.weights.0',
        '.model.assistance.weights.len',
    }
    single = read(f'single_{name}').model
    assert single.backbone.num_members == 1
    assert single.assistance.weights == []


@pytest.mark.parametrize('name', HTC)
def test_variant_without_semantic_branch(name):
    found = differences(f'dual_{name}', f'dual_{name}_without_semantic')
    data = 'train_dataloader.dataset'
    others = {key for key in found if '.roi_head.semantic_' not in key}
    assert others == {
        f'{data}.data_prefix.seg',
        f'{data}.pipeline.1.with_seg',
    }
    model = read(f'dual_{name}_without_semantic').model
    assert model.roi_head.semantic_head is None
