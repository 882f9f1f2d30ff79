"""The maps of a frozen member, kept on disk.

1. What is found equals what was computed, bit for bit, in every family, with
   a smaller image and another type, and so do the gradients of the rest;
2. never stale: another pixel, weight, statistic, setting, type, number of
   stages or version is not found, and a batch finds images one by one;
3. never unbounded: what was not used longest goes first, what this run needs
   stays, and no other file is touched;
4. what is damaged, exchanged or no file of maps is computed again; a folder
   that cannot be written stops nothing;
5. where it cannot work, it is refused in one sentence.
"""

import copy
import os
import pickle

import pytest
import torch
from mmengine.config import Config
from torch import nn

from cbnet.analysis.complexity import measure
from cbnet.models import CompositeBackbone, Member
from cbnet.models.members import map_cache
from cbnet.models.members.map_folder import MapFolder
from cbnet.testing import TINY_MEMBERS, build_model, tiny_detector

IMAGE = torch.randn(2, 3, 64, 96)
KINDS = ['resnet', 'swin', 'timm_efficientnet', 'timm_vit', 'timm_convnext']


def kept(name, folder, gigabytes=1.0, changes=(), **settings):
    return dict(
        type='Member',
        backbone=dict(copy.deepcopy(TINY_MEMBERS[name]), **dict(changes)),
        frozen=True,
        cache=folder and dict(folder=str(folder), gigabytes=gigabytes),
        **settings,
    )


def config(assistant, lead='resnet', **options):
    return dict(
        type='CompositeBackbone',
        member=[assistant, TINY_MEMBERS[lead]],
        **dict(dict(shared_stages=None), **options),
    )


def join(assistant, lead='resnet', **options):
    torch.manual_seed(5)
    composite = build_model(config(assistant, lead, **options))
    for p in composite.connections.parameters():
        nn.init.normal_(p, std=0.1)
    return composite


def counts(composite):
    """Give the numbers of maps that were found and that were not."""
    files = composite.adapters[0].cache.files
    return files.hits, files.misses


def found(composite, images=IMAGE):
    """Run; give how many images were found."""
    before = counts(composite)[0]
    composite(images)
    return counts(composite)[0] - before


def gradients(composite, images):
    composite.zero_grad()
    maps = composite(images)
    sum(y.square().sum() for y in maps).backward()
    return [*maps, *(p.grad for p in composite.parameters())]


def same(a, b):
    return all(
        x is y is None or torch.equal(x, y) for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize(
    'settings', [{}, dict(scale=0.5, dtype='bfloat16', preprocess=None)]
)
@pytest.mark.parametrize('name', KINDS)
def test_what_is_found_is_what_was_computed(name, settings, tmp_path):
    lead = 'swin' if name == 'swin' else 'resnet'
    plain = join(kept(name, None, **settings), lead).train()
    composite = join(kept(name, tmp_path, **settings), lead).train()
    ran = []
    for place, part in composite.members[0].named_modules():
        if not place.endswith('w_msa'):  # with hooks it is not fast
            part.register_forward_pre_hook(lambda *_: ran.append(1))
    first = gradients(composite, IMAGE)
    assert counts(composite) == (0, 2) and ran
    ran.clear()
    assert same(first, gradients(composite, IMAGE))
    # A Swin's normed maps are computed from what is kept.
    assert counts(composite) == (2, 2) and len(ran) <= 4 * (name == 'swin')
    alone = IMAGE[:1]
    assert same(gradients(plain, alone), gradients(composite, alone))
    assert counts(composite) == (3, 2)
    composite.eval()
    assert found(composite, IMAGE.flip(0)) == 2
    for one, other in zip(composite(IMAGE), plain.eval()(IMAGE), strict=True):
        torch.testing.assert_close(one, other)
    assert found(composite, IMAGE.flip(3)) == 0
    assert found(composite, torch.cat([IMAGE[:1], IMAGE[:1] * 2])) == 1
    again = join(kept(name, tmp_path, **settings), lead)
    assert found(again) == 2


@pytest.mark.parametrize('place', ['weight', 'running_mean'])
def test_other_weights_are_not_found(place, tmp_path):
    composite = join(kept('resnet', tmp_path)).eval()
    assert found(composite) == 0 and found(composite) == 2
    twin = copy.deepcopy(composite)
    assert found(twin) == 2
    with torch.no_grad():
        getattr(composite.members[0].bn1, place)[3] += 1e-3
    assert found(composite) == 0 and found(composite) == 2
    # Nothing tells of this; it is noticed where training and tests begin.
    getattr(composite.members[0].bn1, place).data[3] += 1e-3
    assert found(composite.train()) == 0 and found(composite) == 2
    other = join(kept('resnet', tmp_path))
    other.load_state_dict(composite.state_dict())
    assert found(other) == 2


def test_other_settings_are_not_found(tmp_path, monkeypatch):
    image = IMAGE[:1]
    first = join(kept('timm_vit', tmp_path))
    assert found(first, image) == 0
    weights = first.members[0].state_dict()

    def after(**settings):
        other = join(kept('timm_vit', tmp_path, **settings))
        other.members[0].load_state_dict(weights)
        return found(other, image)

    assert after() == 1
    mean = dict(mean=[1, 2, 3], std=[1, 1, 1], of=dict(mean=[0, 0, 0]))
    for settings in (
        dict(scale=0.5),
        dict(dtype='bfloat16'),
        dict(preprocess=mean),
        dict(changes=dict(out_indices=(0, 1, 2, 3))),
    ):
        assert after(**settings) == 0, settings
        assert after(**settings) == 1, settings
    assert after(changes=dict(init_cfg=None)) == 1
    assert found(first, 3 * image) == 0
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert found(first, 3 * image) == 0
        assert found(first, 3 * image) == 1
    changed = image.clone()
    changed.view(-1)[7] += 1e-6
    assert found(first, changed) == 0
    one = join(kept('timm_vit', tmp_path), style='slc')
    one.members[0].load_state_dict(weights)
    assert found(one, image) == 0  # it needs one stage less
    for name in ('__version__', '_FORMAT'):
        with monkeypatch.context() as patch:
            patch.setattr(map_cache, name, '0.0')
            assert after() == 0
    assert after() == 1


def test_a_batch_of_its_own(tmp_path):
    """The maps of an image do not depend on which others were found."""
    composite = join(kept('resnet', tmp_path)).eval()
    alone = [composite(x) for x in IMAGE.split(1)]
    joined = composite(IMAGE)
    fresh = join(kept('resnet', tmp_path / 'other')).eval()(IMAGE)
    assert same(joined, fresh)
    for k, maps in enumerate(alone):
        for y, both in zip(maps, joined, strict=True):
            torch.testing.assert_close(y[0], both[k])


def maps(number, size=1000):
    return {'0': torch.full((size,), float(number))}


def bytes_in(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


def test_it_is_bounded(tmp_path):
    stranger = tmp_path / 'cbnet-maps-of-mine'
    stranger.write_bytes(bytes(20_000))
    unfinished = tmp_path / f'.unfinished-cbnet-maps-{"0" * 64}-12.tmp'
    unfinished.write_bytes(bytes(5000))
    os.utime(unfinished, (1, 1))
    earlier = MapFolder(str(tmp_path), 22_000)
    for number in range(4):
        earlier.write(str(number), maps(number))
    assert unfinished.exists()
    for age, path in enumerate(
        earlier._path(str(number)) for number in (2, 0, 3, 1)
    ):
        os.utime(path, (1000 - age, 1000 - age))
    now = MapFolder(str(tmp_path), 22_000)
    assert now.read('1') is not None  # so 3 was not used longest
    now.write('4', maps(4))
    now.write('5', maps(5))
    assert not unfinished.exists()
    assert [n for n in '012345' if now._path(n).exists()] == list('01245')
    now.write('6', maps(6))
    assert [n for n in '0123456' if now._path(n).exists()] == list('12456')
    assert bytes_in(tmp_path) <= 42_000
    # What this run uses stays, so that a second pass over it finds some.
    for number in range(20):
        now.write(str(number), maps(number))
    assert bytes_in(tmp_path) <= 42_000
    assert sum(now.read(str(n)) is not None for n in range(20)) == 5
    now.write('huge', maps(0, 10_000))
    assert now.read('huge') is None
    assert stranger.stat().st_size == 20_000


def test_a_full_folder_of_a_member(tmp_path):
    small = kept('resnet', tmp_path, gigabytes=2e-5)
    images = torch.randn(6, 3, 32, 32)
    composite = join(small).eval()
    first = composite(images)
    assert bytes_in(tmp_path) <= 20_000
    held = len(list(tmp_path.iterdir()))
    assert 0 < held < 6
    assert found(composite, images) == held
    assert same(first, composite(images))


def truncate(path):
    path.write_bytes(path.read_bytes()[:-9])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b'')


def pickled(path):
    path.write_bytes(pickle.dumps(maps(1)))


def exchange(path):
    (other,) = set(path.parent.iterdir()) - {path}
    path.write_bytes(other.read_bytes())


def make_a_folder(path):
    path.unlink()
    path.mkdir()


def make_a_pipe(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    'damage',
    [
        truncate,
        flip_a_bit,
        empty,
        pickled,
        exchange,
        make_a_folder,
        make_a_pipe,
    ],
)
def test_what_is_damaged_is_computed_again(damage, tmp_path):
    composite = join(kept('resnet', tmp_path)).eval()
    first = composite(IMAGE)
    damage(min(tmp_path.iterdir()))
    assert found(composite) == 1
    assert same(first, composite(IMAGE))
    assert found(composite) == 2 - (damage is make_a_folder)


def test_a_folder_that_cannot_be_written(tmp_path):
    place = tmp_path / 'file'
    place.write_text('in the way')
    composite = join(kept('resnet', place)).eval()
    plain = join(kept('resnet', None)).eval()
    assert same(composite(IMAGE[:1]), plain(IMAGE[:1]))
    assert counts(composite) == (0, 1)


def test_costs_are_counted_without_it(tmp_path):
    macs = [
        measure(
            Config(
                dict(
                    model=tiny_detector(
                        'RetinaNet', config(kept('resnet', folder))
                    )
                )
            ),
            (64, 96),
        ).total.macs
        for folder in (tmp_path / 'maps', None)
    ]
    assert macs[0] == macs[1] and not (tmp_path / 'maps').exists()


@pytest.mark.parametrize(
    ('settings', 'options', 'message'),
    [
        (dict(frozen=False), {}, 'cache keeps the maps.*set frozen=True'),
        ({}, dict(shared_stages=0), 'has cache=.*cannot share stages'),
        ({}, dict(style='allc'), 'reads the stem .style allc.'),
        (dict(cache=dict(folder='a', mb=1)), {}, "'mb'"),
        (dict(cache=dict(gigabytes=1.0)), {}, 'cache has no folder'),
        (
            dict(cache=dict(folder='a', gigabytes=0)),
            {},
            'gigabytes=0; expected a .*number above 0',
        ),
    ],
)
def test_where_it_cannot_work(settings, options, message, tmp_path):
    with pytest.raises((TypeError, ValueError), match=message) as raised:
        join(kept('resnet', tmp_path) | settings, **options)
    assert '\n' not in str(raised.value)


def test_only_the_first_member_and_configs(tmp_path):
    one, cached = TINY_MEMBERS['resnet'], kept('resnet', tmp_path)
    with pytest.raises(ValueError, match='member 1 has a cache, but its maps'):
        build_model(
            dict(
                type='CompositeBackbone',
                member=[one, cached, one],
                num_members=3,
                shared_stages=None,
            )
        )
    built = Member(
        build_model(one), frozen=True, cache=dict(folder=str(tmp_path))
    )
    with pytest.raises(ValueError, match='needs the backbone as a config'):
        CompositeBackbone([built, build_model(one)], shared_stages=None)
