"""Data sets are found inside their wrappers, in configs and when built.

- the outermost comes first, the innermost wrap no other;
- whatever is not there is no data set; keys can be skipped;
- what a pipeline loads is found inside its branches, too.
"""

from types import SimpleNamespace

import pytest

from cbnet.datasets.walking import (
    innermost_datasets,
    loads,
    walk_datasets,
    walk_dicts,
)


def built(node):
    return SimpleNamespace(
        **{
            key: [built(one) for one in value]
            if isinstance(value, list)
            else built(value)
            if isinstance(value, dict)
            else value
            for key, value in node.items()
        }
    )


def name(dataset):
    return dataset['type'] if isinstance(dataset, dict) else dataset.type


NESTED = dict(
    type='Repeat',
    dataset=dict(
        type='Concat',
        datasets=[
            dict(type='A'),
            dict(type='Balanced', dataset=dict(type='B', dataset=None)),
        ],
    ),
)


@pytest.mark.parametrize('make', [dict, built])
def test_wrappers(make):
    nested = make(NESTED)
    assert list(map(name, walk_datasets(nested))) == [
        'Repeat', 'Concat', 'A', 'Balanced', 'B'
    ]  # fmt: skip
    assert list(map(name, innermost_datasets(nested))) == ['A', 'B']


def test_keys_are_skipped():
    model = dict(
        rpn_head=dict(loss=dict(type='L')), heads=[dict(type='H')], depth=50
    )
    assert list(walk_dicts(model, skip=('rpn_head',))) == [
        model, dict(type='H')
    ]  # fmt: skip
    assert list(walk_dicts(None)) == []


def test_what_a_pipeline_loads():
    load = dict(type='LoadAnnotations', with_mask=True, with_seg=False)
    branches = dict(type='RandomChoice', transforms=[[dict()], [load]])
    assert loads(dict(pipeline=[branches]), 'with_mask')
    assert not loads(dict(pipeline=[branches]), 'with_seg')
