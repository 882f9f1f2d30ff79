"""Files of images without annotations, such as COCO's test-dev.

``cbnet test`` writes results for them if nothing is to be evaluated, and
``cbnet infer`` takes their ids; whatever needs annotations says so in one
sentence.
"""

import json

import pytest
from mmengine.config import Config

from cbnet.datasets.data_check import check_data

from .tiny_weights import save_weights


@pytest.fixture(params=['missing', 'empty'])
def unannotated(request, tiny_coco, tmp_path):
    content = json.loads((tiny_coco.root / 'val.json').read_text())
    content['annotations'] = []
    if request.param == 'missing':
        del content['annotations']
    for image in content['images']:
        image['id'] += 40
    path = tmp_path / 'dev.json'
    path.write_text(json.dumps(content))
    return path


def test_results_are_written(
    unannotated, tiny_config, weights, tiny_coco, run_command, tmp_path
):
    changes = [
        '--cfg-options', f'test_dataloader.dataset.ann_file={unannotated}',
        f'test_evaluator.ann_file={unannotated}',
    ]  # fmt: skip
    status, output = run_command('test', tiny_config, weights, *changes)
    assert status == 2
    reason = 'annotations is empty, expected', 'it has no annotations; expect'
    line = output.strip().splitlines()[-1]
    assert any(f'{unannotated}: {one}' in line for one in reason)
    changes += [
        'test_evaluator.format_only=True', 'test_evaluator.outfile_prefix=out',
    ]  # fmt: skip
    status, output = run_command('test', tiny_config, weights, *changes)
    assert status == 0, output
    for kind in ('bbox', 'segm'):
        entries = json.loads((tmp_path / f'out.{kind}.json').read_text())
        assert {entry['image_id'] for entry in entries} == {41, 42}


def test_ids_of_such_a_file(unannotated, tiny_config, tiny_coco, infer):
    named = save_weights(
        tiny_config, infer.folder / 'named.pth', tiny_coco.classes
    )
    status, output = infer(
        tiny_coco.root / 'val', '--ann', unannotated, '--no-images',
        '--results', 'found.json', checkpoint=named,
    )  # fmt: skip
    assert status == 0, output
    meaning = json.loads((infer.folder / 'found.images.json').read_text())
    assert [image['id'] for image in meaning['images']] == [41, 42]


def test_only_an_evaluation_may_lack_them(unannotated, tiny_config):
    cfg = Config.fromfile(tiny_config)
    cfg.val_evaluator.format_only = True
    cfg.val_evaluator.ann_file = str(unannotated)
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].dataset.ann_file = str(unannotated)
    cfg.train_dataloader.dataset.data_prefix.img = 'val/'
    check_data(cfg, 'val')
    with pytest.raises(ValueError, match='annotations'):
        check_data(cfg, 'train')
    cfg.val_evaluator = [cfg.val_evaluator, dict(type='CocoMetric')]
    with pytest.raises(ValueError, match='annotations'):
        check_data(cfg, 'val')
