"""Training, resuming and testing through the command lines, end to end.

Train two iterations; resume to four from the newest checkpoint, now in mixed
precision; test that one with ``--out`` and ``--show-dir``.  A second
evaluation finds the maps that the first one has cached, and says so.
"""

import pickle

import torch
from PIL import Image
from pycocotools import mask as coco_mask

from cbnet.testing import TINY_MEMBERS

from .tiny_weights import save_weights


def test_train_resume_and_test(tiny_config, run_tool, iterations, tmp_path):
    first = run_tool('train.py', tiny_config)
    assert first.returncode == 0, first.stdout
    work_dir = run_tool.folder / 'work_dirs' / 'tiny'  # the default place
    assert iterations(first.stdout) == [1, 2]
    assert (work_dir / 'last_checkpoint').exists()
    assert 'coco/segm_mAP:' in first.stdout

    moved = tmp_path / 'moved'  # last_checkpoint holds an absolute path
    work_dir.rename(moved)
    arguments = ('--work-dir', moved, '--cfg-options')
    again = run_tool(
        'train.py', tiny_config, '--resume', '--amp', *arguments,
        'train_cfg.max_iters=4', 'train_cfg.val_interval=9',
    )  # fmt: skip
    assert again.returncode == 0, again.stdout
    assert iterations(again.stdout) == [3, 4]
    assert "type='CpuAmpOptimWrapper'" in again.stdout
    assert f'Load checkpoint from {moved}' in again.stdout
    last = torch.load(moved / 'iter_4.pth', weights_only=True)
    # iterations, optimizer and schedule counted on, not from the start
    assert last['meta']['iter'] == 4
    assert last['optimizer']['state'][0]['step'] == 4
    assert last['param_schedulers'][0]['last_step'] == 4

    tested = run_tool(
        'test.py', tiny_config, moved / 'iter_4.pth',
        '--out', 'found/boxes.pkl', '--show-dir', 'pictures',
        '--cfg-options', 'model.test_cfg.rcnn.score_thr=0.0',
    )  # fmt: skip
    assert tested.returncode == 0, tested.stdout
    assert 'coco/bbox_mAP:' in tested.stdout
    assert 'coco/segm_mAP:' in tested.stdout
    with open(run_tool.folder / 'found' / 'boxes.pkl', 'rb') as file:
        images = pickle.load(file)  # noqa: S301 (written by the line above)
    assert [image['img_id'] for image in images] == [1, 2]
    found = images[0]['pred_instances']
    assert len(found['bboxes']) == len(found['masks']) > 0
    assert coco_mask.decode(found['masks'][0]).shape == (64, 96)
    shown = sorted((run_tool.folder / 'pictures').iterdir())
    assert [path.name for path in shown] == ['001.png', '002.png']
    # ground truth beside detections: twice as wide as the image
    assert Image.open(shown[0]).size == (192, 64)


def test_an_evaluation_tells_what_its_cache_found(
    tiny_config, run_command, tmp_path
):
    member = dict(
        type='Member',
        backbone=TINY_MEMBERS['resnet'],
        frozen=True,
        cache=dict(folder='maps'),
    )
    changes = dict(member=[member, TINY_MEMBERS['resnet']], shared_stages=None)
    with open(tiny_config, 'a') as file:
        file.write(f'model["backbone"].update({changes})\n')
    weights = save_weights(tiny_config, tmp_path / 'cached.pth')
    for hits in (0, 2):
        status, said = run_command('test', tiny_config, weights)
        assert status == 0, said
        line = f'member 0: the maps of {hits} of 2 images were found in maps'
        assert line in said
