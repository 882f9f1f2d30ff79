"""A resumed run says which settings of its config do not count.

- the same config: nothing; a changed rate, decay, schedule, or number of
  schedules: named with both values, and the run keeps the old ones;
- a run that only starts from the weights uses the config's, without a word.
"""

import pytest

from cbnet.engine import checkpoint_fit

from .small_run import small_run

STEPS = dict(type='MultiStepLR', by_epoch=False, milestones=[2, 4], end=9)
RATE = 0.1


def adam(**options):
    return dict(optimizer=dict(dict(type='AdamW', lr=RATE), **options))


@pytest.fixture
def said(tmp_path, monkeypatch):
    """Resume after two steps with other settings; give lines and rate."""
    lines = []
    monkeypatch.setattr(
        checkpoint_fit, 'print_log', lambda line, *_: lines.append(line)
    )

    def run(resume=True, **changed):
        first = dict(param_scheduler=STEPS, optim_wrapper=adam())
        small_run(tmp_path, steps=2, **first).train()
        file = str(tmp_path / 'iter_2.pth')
        settings = dict(first, **changed)
        later = small_run(
            tmp_path / 'more', steps=3, load_from=file, resume=resume,
            **settings,
        )  # fmt: skip
        later.train()
        group = later.optim_wrapper.param_groups[0]
        return lines, group['initial_lr']

    return run


def test_the_same_config(said):
    assert said() == ([], RATE)


@pytest.mark.parametrize(
    ('changed', 'named'),
    [
        (dict(optim_wrapper=adam(lr=0.01)), 'lr 0.1 instead of 0.01'),
        (
            dict(optim_wrapper=adam(weight_decay=0.5)),
            'weight_decay 0.01 instead of 0.5',
        ),
        (
            dict(param_scheduler=dict(STEPS, milestones=[2, 5])),
            'MultiStepLR.milestones [2, 4] instead of [2, 5]',
        ),
        (
            dict(param_scheduler=dict(STEPS, gamma=0.5)),
            'MultiStepLR.gamma 0.1 instead of 0.5',
        ),
        (
            dict(param_scheduler=dict(STEPS, end=12)),
            'MultiStepLR.end 9 instead of 12',
        ),
        (
            dict(param_scheduler=[STEPS, dict(type='LinearLR', end=9)]),
            '1 schedules (param_scheduler) instead of 2',
        ),
    ],
)
def test_other_settings(said, changed, named):
    (line,), rate = said(**changed)
    assert f'not with those of the config: {named}; to train on' in line
    assert rate == RATE


def test_only_the_weights(said):
    assert said(resume=False, optim_wrapper=adam(lr=0.01)) == ([], 0.01)
