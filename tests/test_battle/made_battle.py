"""A battle whose runs are made up, so that its results are known."""

import json

import numpy as np

from cbnet.battle.costs import EntryCost, write_costs
from cbnet.battle.data import find_data
from cbnet.battle.figures import write_figures
from cbnet.battle.manifest import described, joined, write_manifest
from cbnet.battle.run_folders import note_choice, note_failure, run_folder
from cbnet.datasets.coco_masks import to_rle
from cbnet.engine.resources import RESOURCES


def make_battle(folder, roots, entries, seeds=(0, 1), samples=50):
    """Make a battle with entries of known quality.

    Args:
        folder: its folder.
        roots: its data sets.
        entries: name -> how far its detections are off in pixels, and what it
            costs (``EntryCost``); None instead of the distance: it failed.
        seeds: the seeds.
        samples: the samples of images.
    """
    datas = find_data(roots, folder / 'data')
    names = {name: name.replace(' ', '_') for name in entries}
    manifest = joined(
        folder,
        dict(head='mask-rcnn', protocol='plain', budget='1x', scale=None),
        entries={name: dict(folder=names[name]) for name in entries},
        data=described([], {}, datas)['data'],
    )
    write_manifest(folder, manifest)
    write_costs({name: cost for name, (_, cost) in entries.items()}, folder)
    for data in datas:
        data.write()
        for name, (off, _) in entries.items():
            runs = folder / 'runs' / data.name / names[name]
            note_choice(runs, 1e-3, {})
            for seed in seeds:
                run = run_folder(runs, 1e-3, seed)
                if off is None:
                    note_failure(run, 'iteration 7: loss is nan')
                else:
                    _leave(run, data.splits['test'], off, seed, samples)
    return datas


def _leave(run, split, off, seed, samples):
    rng = np.random.default_rng(seed)
    images = {image['id']: image for image in split.content['images']}
    found = []
    for one in split.content['annotations']:
        x, y, w, h = one['bbox']
        dx, dy = off + rng.uniform(-0.5, 0.5, 2)
        image = images[one['image_id']]
        corners = [
            min(max(v, 0), image[side])
            for v, side in (
                (x + dx, 'width'), (y + dy, 'height'),
                (x + w + dx, 'width'), (y + dy, 'height'),
                (x + w + dx, 'width'), (y + h + dy, 'height'),
            )
        ]  # fmt: skip
        mask = to_rle(dict(segmentation=[corners]), image)
        found.append(
            dict(
                image_id=one['image_id'],
                category_id=one['category_id'],
                bbox=[x + dx, y + dy, w, h],
                score=0.9,
                segmentation=mask | dict(counts=mask['counts'].decode()),
            )
        )
    test = run / 'test'
    test.mkdir(parents=True)
    for kind in ('bbox', 'segm'):
        (test / f'results.{kind}.json').write_text(json.dumps(found))
    write_figures(test, split.annotations, samples)
    log = run / '20260101_000000' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    lines = [
        dict(
            loss=float(2 * np.exp(-i / 40) + 0.1 * rng.random() + off / 10),
            time=0.5, iter=i, step=i,
        )
        for i in range(10, 101, 10)
    ]  # fmt: skip
    log.write_text('\n'.join(map(json.dumps, lines)))
    taken = dict(seconds=50.0 + seed, memory=10**9, energy=None)
    (run / RESOURCES).write_text(json.dumps(taken))


def cost(millions, milliseconds=None):
    """Make the cost of an entry."""
    return EntryCost(
        parameters=millions * 1_000_000,
        trained=millions * 1_000_000,
        macs=millions * 10**9,
        latency=milliseconds and milliseconds / 1000,
        latency_p95=milliseconds and milliseconds / 900,
    )


#: entries of every quality, see ``make_battle``
ENTRIES = {
    'base': (4.0, cost(10, 10)),
    'good': (1.0, cost(20, 20)),
    'twin </script>': (1.0, cost(30, 15)),
    'bad': (9.0, cost(40, 40)),
    'broken': (None, cost(5, 5)),
}
