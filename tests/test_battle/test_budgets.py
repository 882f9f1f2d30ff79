"""Budgets, in steps.

1. Steps, epochs, schedules and time become steps; images without objects, and
   images that are too small, are not trained on and do not count.
2. Less than an epoch is refused, with what would do; so is a single step.
3. Other texts are refused.
"""

from types import SimpleNamespace

import pytest

from cbnet.battle.budgets import count_steps, read_budget
from cbnet.battle.data import BattleData
from cbnet.errors import UserError


@pytest.fixture
def data():
    """Eleven images, of which nine have objects and are not too small."""
    content = dict(
        images=[
            dict(id=i, width=40 - 9 * (i == 10), height=40) for i in range(11)
        ],
        annotations=[
            *(dict(image_id=i % 9) for i in range(40)),
            dict(image_id=10),
        ],
    )
    train = SimpleNamespace(content=content)
    return BattleData('mine', dict(train=train), {}, '', '')


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


@pytest.mark.parametrize(
    ('text', 'batch', 'need'),
    [
        ('1ep', 9, '2ep'), ('1ep', 20, '3ep'), ('0.1x', 20, '3ep'),
        ('1it', 9, '2it'), ('3s', 20, '4s'),
    ],
)  # fmt: skip
def test_an_epoch_of_one_step(data, text, batch, need):
    with pytest.raises(UserError) as error:
        count_steps(read_budget(text), data, batch, 2.0, 'a')
    assert str(error.value) == (
        f'--budget {text} is too short for a rate that rises and falls: '
        f'1 step of {batch} images for a, and mine has 9 to train on; give '
        f'at least {need}'
    )
    assert count_steps(read_budget(need), data, batch, 2.0, 'a') == 2


@pytest.mark.parametrize(
    'text', ['9' * 400 + 'it', '', '3', '0it', '-1x', '1 year', 'x', '1e3']
)
def test_other_texts(text):
    with pytest.raises(UserError, match='--budget .* expected steps'):
        read_budget(text)
