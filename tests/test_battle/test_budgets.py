"""Budgets, in steps.

1. Steps, epochs, schedules and time become steps; images without objects are
   not trained on and do not count.
2. Less than an epoch is refused, with what would do.
3. Other texts are refused.
"""

from types import SimpleNamespace

import pytest

from cbnet.battle.budgets import count_steps, read_budget
from cbnet.errors import UserError


@pytest.fixture
def data():
    """Ten images, of which nine have objects."""
    content = dict(
        images=[dict(id=i) for i in range(10)],
        annotations=[dict(image_id=i % 9) for i in range(40)],
    )
    train = SimpleNamespace(content=content)
    return SimpleNamespace(name='mine', splits=dict(train=train))


@pytest.mark.parametrize(
    ('text', 'steps'),
    [
        ('2000it', 2000), ('5it', 5), ('1ep', 5), ('1x', 54), ('0.5x', 27),
        ('3x', 162), ('30min', 900), ('1.5 h', 2700), ('10s', 5),
    ],
)  # fmt: skip
def test_steps(data, text, steps):
    assert count_steps(read_budget(text), data, 2, 2.0, 'a') == steps


@pytest.mark.parametrize(
    ('text', 'need'),
    [('4it', 'at least 5it'), ('0.5ep', 'at least 1ep'), ('9s', '10s')],
)
def test_less_than_an_epoch(data, text, need):
    with pytest.raises(UserError) as error:
        count_steps(read_budget(text), data, 2, 2.0, 'a')
    assert f'--budget {text} is less than an epoch' in str(error.value)
    assert 'mine has 9 to train on' in str(error.value)
    assert need in str(error.value)


@pytest.mark.parametrize('text', ['', '3', '0it', '-1x', '1 year', 'x', '1e3'])
def test_other_texts(text):
    with pytest.raises(UserError, match='--budget .* expected steps'):
        read_budget(text)
