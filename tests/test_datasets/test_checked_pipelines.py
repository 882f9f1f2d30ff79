"""The image at which a pipeline fails is named, and so is the step.

Also in a dataloader's worker and in a pipeline inside another; errors that
are written for users stay as they are, and data without a file keep the
error of the step.
"""

import pickle

import pytest
from mmengine.dataset import Compose
from torch.utils.data import DataLoader

from cbnet.datasets.checked_images import ImageFileError
from cbnet.datasets.checked_pipelines import use_checked_pipelines
from cbnet.errors import UserValueError


class Fails:
    """Raise an error, like a step that an image does not fit."""

    def __init__(self, error):
        self.error = error

    def __call__(self, data):
        raise self.error


@pytest.fixture(autouse=True)
def checked():
    use_checked_pipelines()
    use_checked_pipelines()


@pytest.mark.parametrize('error', [KeyError('masks'), ZeroDivisionError('x')])
@pytest.mark.parametrize('depth', [1, 3])
@pytest.mark.parametrize('size', [dict(width=9, height=4), dict()])
def test_the_image_and_the_step_are_named(error, depth, size):
    steps = [dict, Fails(error)]
    for _ in range(depth):
        steps = [Compose(steps)]
    with pytest.raises(ImageFileError) as raised:
        steps[0](dict(img_path='/there/a.png', **size))
    assert str(raised.value) == (
        f'image /there/a.png {"(9x4) " if size else ""}does not pass the '
        f'pipeline: Fails: {type(error).__name__}: {error.args[0]}; correct '
        f'that step, or leave the image out if it is too narrow or too small '
        f'for it'
    )
    assert pickle.loads(pickle.dumps(raised.value)).args == raised.value.args  # noqa: S301


def test_in_a_worker():
    class Data:
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return Compose([Fails(OSError('x'))])(dict(img_path='/a.png'))

    with pytest.raises(ImageFileError, match='^image /a.png does not pass'):
        next(iter(DataLoader(Data(), num_workers=1)))


@pytest.mark.parametrize(
    ('error', 'data'),
    [
        (UserValueError('for users'), dict(img_path='/a.png')),
        (KeyError('masks'), dict(img=3)),
        (KeyError('masks'), [dict(img_path='/a.png')]),
    ],
)
def test_other_errors_stay(error, data):
    with pytest.raises(type(error)) as raised:
        Compose([Fails(error)])(data)
    assert raised.value is error
