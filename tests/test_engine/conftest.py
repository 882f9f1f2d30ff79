"""Keep the guards that a test adds out of the pipelines of other tests."""

import pytest
from mmdet.registry import TRANSFORMS


@pytest.fixture(autouse=True)
def own_transforms(monkeypatch):
    monkeypatch.setattr(
        TRANSFORMS, '_module_dict', dict(TRANSFORMS.module_dict)
    )
