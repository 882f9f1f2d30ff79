"""The dataloaders of a config: every slip is a sentence with its key.

- values of another kind, names that do not exist, names of mmdet 2, at any
  depth of wrapped data sets;
- settings of workers are taken out where there are none, and said;
- objects and classes instead of names are left alone.
"""

import copy

import pytest
from mmdet.datasets import CocoDataset
from mmdet.datasets.transforms import PackDetInputs
from mmengine.config import Config
from mmengine.dataset import DefaultSampler, pseudo_collate
from mmengine.registry import init_default_scope

from cbnet.datasets.loader_check import check_loaders
from cbnet.errors import UserError

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(96, 64), keep_ratio=True),
    dict(type='PackDetInputs'),
]
LOADER = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(
        type='RepeatDataset',
        times=2,
        dataset=dict(
            type='ConcatDataset',
            datasets=[
                dict(
                    type='CocoDataset',
                    ann_file='a.json',
                    data_prefix=dict(img='a/'),
                    metainfo=dict(classes=('a', 'b')),
                    filter_cfg=dict(filter_empty_gt=True, min_size=32),
                    pipeline=PIPELINE,
                ),
                dict(type='CocoDataset', ann_file='b.json', indices=3),
            ],
        ),
    ),
)
ONE = 'dataset.dataset.datasets.0'
KEY = r'train_dataloader\.dataset\.dataset\.datasets\[0\]'
SLIPS = {
    'batch_size': [
        ('two', "train_dataloader.batch_size='two'; expected a whole number"),
        (0, 'batch_size=0; expected a whole number from 1'),
        (2.0, 'batch_size=2.0; expected'),
        (None, 'batch_size=None; expected'),
    ],
    'num_workers': [('two', "num_workers='two'; ex"), (-1, 'num_workers=-1')],
    'prefetch_factor': [(0, 'prefetch_factor=0; expected')],
    'persistent_workers': [('yes', "persistent_workers='yes'; expected True")],
    'samples_per_gpu': [(2, "'samples_per_gpu', .* it is batch_size now")],
    'batch_sise': [
        (2, "has no argument 'batch_sise'; did you mean 'batch_si")
    ],
    'sampler': [
        ('DefaultSampler', r'sampler=.*expected a dict .*\(type="DefaultSam'),
        (None, 'sampler=None; expected a dict'),
        (dict(type='Random'), "sampler.type='Random'; expected the name of"),
        (dict(type='DefaultSampler', shufle=True), "did you mean 'shuffle'"),
    ],
    'batch_sampler': [(True, 'batch_sampler=True; expected a dict')],
    'collate_fn': [('pseudo_collate', 'collate_fn=.* dict.type="pseudo_coll')],
    'dataset': [(None, 'train_dataloader.dataset=None; expected a dict')],
    'dataset.dataset.datasets': [('a', r"datasets='a'; expected a list")],
    f'{ONE}.type': [('CocoDatset', f"{KEY}.type=.* mean 'CocoDataset'")],
    f'{ONE}.ann_file': [
        (['a.json', 'b.json'], f'{KEY}.ann_file=.*dict.type="ConcatDataset"'),
        (None, f'{KEY}.ann_file is not given'),
    ],
    f'{ONE}.data_prefix': [('a/', f'{KEY}.data_prefix=.* dict.img="train/"')],
    f'{ONE}.img_prefix': [('a/', r'mmdet 2 .* data_prefix=dict\(img=...\)')],
    f'{ONE}.data_root': [(3, f'{KEY}.data_root=3; expected a string')],
    f'{ONE}.metainfo': [
        (['a'], f'{KEY}.metainfo=.*expected a dict'),
        (
            dict(CLASSES=['a']),
            "metainfo has no argument 'CLASSES', .* classes",
        ),
        (dict(classes=5), 'classes=5; expected a list of names'),
        (dict(classes=[1, 2]), r'classes=\[1, 2\]; .* needs quotes'),
    ],
    f'{ONE}.filter_cfg': [
        (True, 'filter_cfg=True; expected a dict'),
        (dict(min_size='big'), "filter_cfg.min_size='big'; expected"),
    ],
    f'{ONE}.indices': [('all', "indices='all'; expected a whole number")],
    f'{ONE}.test_mode': [('no', "test_mode='no'; expected True or False")],
    f'{ONE}.pipeline': [
        (None, f'{KEY}.pipeline=None; expected a list'),
        ([], 'train_dataloader.dataset.pipeline is empty; expected the steps'),
        (['Resize'], r"pipeline\[0\]='Resize'; expected a dict"),
        ([dict(type='Resizee')], r"pipeline\[0\].type=.* mean 'Resize'"),
        (
            [dict(type='Resize', img_scale=(96, 64))],
            r"\[0\]: Resize has no argument 'img_scale'; did you mean 'scale'",
        ),
    ],
}


def config(**changes):
    cfg = Config(dict(train_dataloader=copy.deepcopy(LOADER)))
    for key, value in changes.items():
        *parents, last = key.split('.')
        node = cfg.train_dataloader
        for name in parents:
            node = node[int(name) if name.isdecimal() else name]
        node[last] = value
    return cfg


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [(key, *slip) for key, slips in SLIPS.items() for slip in slips],
)
@pytest.mark.parametrize('scope', [True, False])
def test_slips(key, value, message, scope):
    if scope:
        init_default_scope('mmdet')
    with pytest.raises(UserError, match=message) as raised:
        check_loaders(config(**{key: value}), 'val', 'train')
    assert str(raised.value).startswith('train_dataloader')
    assert '\n' not in str(raised.value)


def test_what_is_right():
    assert check_loaders(config(), 'train', 'val', 'test') == []
    objects = dict(
        sampler=dict(type=DefaultSampler),
        dataset=dict(
            type=CocoDataset,
            ann_file='a.json',
            pipeline=[PackDetInputs(), dict(type=PackDetInputs)],
        ),
        collate_fn=dict(type=pseudo_collate),
    )
    assert check_loaders(config(**objects), 'train') == []


def test_settings_of_workers_that_are_not_there():
    cfg = config(num_workers=0, prefetch_factor=3)
    lines = check_loaders(cfg, 'train')
    assert lines == [
        'train_dataloader: without workers there is no persistent_workers',
        'train_dataloader: without workers there is no prefetch_factor',
    ]
    loader = cfg.train_dataloader
    assert not {'persistent_workers', 'prefetch_factor'} & loader.keys()
    assert check_loaders(cfg, 'train') == []


def test_a_mask_head_needs_masks():
    cfg = config()
    cfg.model = dict(roi_head=dict(mask_head=dict(type='FCNMaskHead')))
    with pytest.raises(UserError, match='mask_head learns .*with_mask=True'):
        check_loaders(cfg, 'train')
    cfg.model.roi_head.mask_head = None
    check_loaders(cfg, 'train')
