"""One name for each way in which configs spell a type."""

import pytest
from mmengine.optim import OptimWrapper

from cbnet.type_names import type_name


@pytest.mark.parametrize(
    'kind', ['OptimWrapper', 'mmengine.OptimWrapper', OptimWrapper]
)
def test_spellings(kind):
    assert type_name(dict(type=kind)) == 'OptimWrapper'


def test_no_type():
    assert type_name({}) == ''
    assert type_name(dict(type=None), 'SGD') == 'SGD'
