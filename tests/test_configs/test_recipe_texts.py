"""Texts about the recipes say what the configs do.

1. The comment at the top of a config.
2. The table of docs/recipes.md.
"""

from itertools import takewhile

from .published_recipes import CONFIGS, RECIPES, ROOT, each, pretrained, read


@each
def test_the_comment_at_the_top(name):
    row = RECIPES[name]
    lines = (CONFIGS / f'dual_{name}.py').read_text().splitlines()
    comment = takewhile(lambda line: line.startswith('# '), lines)
    head = ' '.join(line.removeprefix('# ') for line in comment)
    images = row['images']
    plural = 's' if images != '1' else ''
    assert f'{row["epochs"]} epochs of 8 GPUs x {images} image{plural}' in head
    first, second = row['steps'].split(',')
    assert f'steps at epochs {first} and {second}' in head
    sgd = row['optimizer'] == 'SGD'
    rate = 'SGD 0.02' if sgd else f'AdamW {row["optimizer"]}'
    assert (f'{rate} in mixed precision' in head) == (row['mixed'] == 'yes')
    assert rate in head
    assert pretrained(row).rpartition('/')[2] in head
    assert 'published' in head


@each
def test_the_table_in_the_docs(name):
    cfg, row = read(f'dual_{name}'), RECIPES[name]
    optimizer, images = cfg.optim_wrapper.optimizer, row['images']
    *_, steps = cfg.param_scheduler
    scale = {'1600': '1600x1400', '800': '1333x800'}
    file = cfg.model.backbone.member.init_cfg.checkpoint.rpartition('/')[2]
    cells = (
        f'`dual_{name}.py`',
        cfg.model.base,
        f'{images}: {cfg.auto_scale_lr.base_batch_size}',
        f'{optimizer.type} {optimizer.lr}',
        f'{steps.end}: {", ".join(map(str, steps.milestones))}',
        scale.get(row['augmentation'], row['augmentation']),
        scale[row['tested']],
        f'`{file}`',
    )
    assert (
        f'\n| {" | ".join(cells)} |\n'
        in (ROOT / 'docs/recipes.md').read_text()
    )
