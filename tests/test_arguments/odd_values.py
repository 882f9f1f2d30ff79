"""Odd values for config keys, and what becomes of them.

``CBNET_FUZZ=20`` in the environment tries twenty times as many examples as
the suite does.  ``python -m tests.test_arguments.test_configs 2000`` prints
a table of outcomes.
"""

import copy
import decimal
import os
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from mmengine.config import Config, ConfigDict

from cbnet.errors import UserError

SCALE = int(os.environ.get('CBNET_FUZZ', '1'))

SCALARS = st.one_of(
    st.sampled_from([None, True, False, 0, 1, -1, 2, 10**20, 0.0, 0.5]),
    st.integers(-3, 40),
    st.floats(-10, 10) | st.sampled_from([float('nan'), float('inf')]),
    st.sampled_from(['', 'abc', 'yes', 'BN', 'ResNet', 'dhlc', 'a.b', '[1]']),
    st.text(max_size=6),
    st.binary(max_size=3),
)
OBJECTS = st.sampled_from(
    [
        object(),
        int,
        len,
        lambda: None,
        np.int64(1),
        np.float32(0.5),
        np.bool_(True),
        np.arange(3),
        torch.ones(2),
        torch.nn.Identity(),
        Path('abc'),
        range(2),
        {1, 2},
        1j,
        decimal.Decimal(1),
        iter([1]),
        Config(dict(a=1)),
        ConfigDict(type='BN'),
        {1: 2},
        ValueError('abc'),
    ]
)
ODD = st.recursive(
    SCALARS | OBJECTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(
            st.sampled_from(['type', 'bias', 'a', 'weights']),
            inner,
            max_size=2,
        )
    ),
    max_leaves=4,
)


def fuzz(examples):
    """Set up a test: the same examples each time, no limit of time."""
    return settings(
        max_examples=examples * SCALE,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def changed(cfg, *changes):
    """Copy a config and put each value at its path of keys."""
    cfg = copy.deepcopy(cfg)
    for (*path, last), value in changes:
        place = cfg
        for key in path:
            place = place[key]
        place[last] = value
    return cfg


def outcome(call):
    """Say what a call does: ``'passes'``, ``'clear'``, or what is wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            call()
    except UserError as error:
        text = str(error)
        if '\n' in text or not 10 < len(text) < 600:
            return f'no sentence: {text[:300]}'
        if error.__context__ and not (
            error.__cause__ or error.__suppress_context__
        ):
            return f'chained: {text[:300]}'
        return 'clear'
    except Exception as error:
        frame = error.__traceback__
        while frame.tb_next:
            frame = frame.tb_next
        place = f'{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}'
        return f'{type(error).__name__} in {place}: {str(error)[:200]}'
    return 'passes'


def table_of(name, found):
    """Count the outcomes; list what is wrong and what passes."""
    kinds = Counter(
        what if what in ('clear', 'passes') else 'WRONG' for _, what in found
    )
    passed = Counter(
        f'passes: {".".join(path)} = {type(value).__name__}'
        for changes, what in found
        if what == 'passes'
        for path, value in changes
    )
    wrong = [
        f'WRONG: {changes!r}'[:200] + f'\n    {what}'
        for changes, what in found
        if what not in ('clear', 'passes')
    ]
    lines = [f'{count:5} {text}' for text, count in sorted(passed.items())]
    return '\n'.join([f'{name}: {len(found)} {dict(kinds)}', *wrong, *lines])
