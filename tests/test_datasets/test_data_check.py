"""Semantic maps are looked for before a training starts.

- no folder of maps: one sentence names it, and the config that does without;
- maps of some images are missing: the first one by its path, and how many;
  images without objects that training leaves out need none;
- the folder is not named at all; a config somewhere else, whose variant is
  not beside it; data with all their maps pass;
- evaluation without maps, as in mmdet's own configs, is not checked;
- a file of class names is read, as mmdet does;
- images in folders of folders: each folder is listed once.
"""

import os
from pathlib import Path

import pytest
from mmengine.config import Config

from cbnet.commands.command_line import find_config
from cbnet.datasets.data_check import check_data
from cbnet.datasets.semantic_maps import check_semantic_maps

ROOT = Path(__file__).parents[2]
ALL = ('001', '002', '003', '004')


@pytest.fixture
def config(tiny_coco, tmp_path):
    """Give a published HTC config on the tiny data, with some maps."""

    def make(maps=None, name='dual_swin_b_htc'):
        cfg = Config.fromfile(ROOT / f'configs/cbnet/{name}.py')
        for split in ('train', 'val'):
            data = cfg[f'{split}_dataloader'].dataset
            data.data_root = str(tiny_coco.root)
            data.ann_file = f'{split}.json'
            data.data_prefix.img = f'{split}/'
            data.metainfo = dict(classes=tiny_coco.classes)
        cfg.val_evaluator.ann_file = str(tiny_coco.root / 'val.json')
        folder = tmp_path / 'stuffthingmaps'
        if maps is not None:
            folder.mkdir()
            for stem in maps:
                (folder / f'{stem}.png').touch()
        if 'seg' in cfg.train_dataloader.dataset.data_prefix:
            cfg.train_dataloader.dataset.data_prefix.seg = str(folder)
        return cfg

    return make


def message(cfg, *splits):
    with pytest.raises(ValueError) as error:
        check_data(cfg, *(splits or ('train', 'val')))
    return str(error.value)


@pytest.mark.parametrize('name', ['dual_swin_b_htc', 'single_swin_l'])
def test_no_folder(config, tmp_path, name):
    said = message(config(name=name))
    assert said.startswith(f'{tmp_path / "stuffthingmaps"}: there is no such')
    variant = ROOT / f'configs/cbnet/{name}_without_semantic.py'
    assert said.endswith(f'use the variant that needs none: {variant}')
    assert '\n' not in said
    check_data(config(name=f'{name}_without_semantic'), 'train', 'val')


def test_a_single_map(config, tmp_path):
    said = message(config([name for name in ALL if name != '002']))
    first = tmp_path / 'stuffthingmaps' / '002.png'
    assert said.startswith(f'{first}: the semantic map is not there (1 of 3')
    assert 'dual_swin_b_htc_without_semantic.py' in said


def test_several_maps(config, tmp_path):
    cfg = config(['004'])
    assert '001.png' in message(cfg) and '(2 of 3 images' in message(cfg)
    cfg.train_dataloader.dataset.filter_cfg.filter_empty_gt = False
    assert '(3 of 4 images' in message(cfg)


def test_all_maps(config):
    check_data(config(ALL), 'train', 'val')


def test_images_without_objects_need_none(config):
    # Image 3 has none, and the config leaves such images out.
    check_data(config([name for name in ALL if name != '003']), 'train')


def test_folder_not_named(config):
    cfg = config(ALL)
    del cfg.train_dataloader.dataset.data_prefix.seg
    assert message(cfg).startswith('data_prefix has no seg, the folder of')


def test_a_config_elsewhere(config, tmp_path):
    cfg = config()
    cfg.dump(tmp_path / 'mine.py')
    said = message(Config.fromfile(tmp_path / 'mine.py'))
    assert 'configs/cbnet/dual_swin_b_without_semantic.py' in said
    assert (ROOT / 'configs/cbnet/dual_swin_b_without_semantic.py').is_file()


def test_evaluation_without_maps(tiny_coco):
    cfg = Config.fromfile(
        find_config('mmdet::_base_/datasets/coco_instance_semantic.py')
    )
    data = cfg.val_dataloader.dataset
    data.update(
        data_root=str(tiny_coco.root),
        ann_file='val.json',
        data_prefix=dict(img='val/'),
        metainfo=dict(classes=tiny_coco.classes),
    )
    assert data.pipeline[2].with_seg
    cfg.val_evaluator.ann_file = str(tiny_coco.root / 'val.json')
    check_data(cfg, 'val')


def test_a_file_of_class_names(config, tiny_coco, tmp_path):
    cfg = config(ALL)
    file = tmp_path / 'names.txt'
    cfg.train_dataloader.dataset.metainfo = dict(classes=str(file))
    file.write_text('\n'.join(tiny_coco.classes))
    check_data(cfg, 'train')
    file.write_text('\n'.join(tiny_coco.classes[::-1]))
    assert 'names would be swapped' in message(cfg, 'train')


def test_a_byte_order_mark(config, tiny_coco, tmp_path):
    """Without --data-root, mmdet reads the file itself, and cannot."""
    cfg = config(name='dual_swin_b_htc_without_semantic')
    marked = tmp_path / 'marked.json'
    content = (tiny_coco.root / 'train.json').read_text()
    marked.write_text(content, encoding='utf-8-sig')
    cfg.train_dataloader.dataset.ann_file = str(marked)
    said = message(cfg)
    assert said.startswith(f'{marked}: begins with a byte order mark')


def test_each_folder_is_listed_once(tmp_path, monkeypatch):
    names = [f'{part}/{n}.v1.jpg' for part in ('a', 'b') for n in range(50)]
    for name in names:
        file = tmp_path / f'{name[:-4]}_maps.png'
        file.parent.mkdir(exist_ok=True)
        file.touch()
    listed = []
    listdir = os.listdir
    monkeypatch.setattr(
        os, 'listdir', lambda path: listed.append(path) or listdir(path)
    )
    check_semantic_maps(tmp_path, names, 'go', '_maps.png')
    assert sorted(listed) == [tmp_path / 'a', tmp_path / 'b']
    with pytest.raises(ValueError, match=r'c/9_maps\.png: .*\(1 of 101'):
        check_semantic_maps(tmp_path, [*names, 'c/9.jpg'], 'go', '_maps.png')
