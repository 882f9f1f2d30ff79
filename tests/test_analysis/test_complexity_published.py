"""The cost of the published models at 800 x 1280.

1. The parameters and FLOPs of all nine models equal the published ones, which
   are rounded: the trainable parameters, and the multiply-accumulates by the
   rule of mmcv's counter.
2. Our own counts, also of single-member twins, are frozen; docs/cost.md shows
   them, and the parts add up.
"""

from dataclasses import astuple
from pathlib import Path

import pytest
from mmengine.config import Config

from cbnet.analysis.complexity import measure
from cbnet.analysis.complexity.meter import ATTENTION, DEFORMABLE

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs' / 'cbnet'
SHAPE = (800, 1280)

# million parameters, G FLOPs: the README of the published code
PUBLISHED = {
    'dual_r50': (69, 284),
    'dual_res2net101_dcn': (141, 429),
    'dual_res2net101_dcn_4conv1fc': (146, 774),
    'dual_swin_t': (76, 357),
    'dual_swin_t_cascade': (114, 836),
    'dual_swin_s': (156, 1016),
    'dual_swin_b_htc': (231, 1004),
    'dual_swin_b': (235, 1348),
    'dual_swin_l': (453, 2162),
}
# parameters, trainable ones; MACs of inference, by the published rule, of
# training, and of assistance in training
COUNTED = {
    'dual_r50': (
        69628896, 69403552, 282614256640,
        283713586100, 391572711424, 115938931712,
    ),
    'dual_res2net101_dcn': (
        141296354, 141053530, 497346448640,
        429376784100, 606968209664, 130089464832,
    ),
    'dual_res2net101_dcn_4conv1fc': (
        146203286, 145960462, 841987984640,
        774165776100, 959881142528, 306545931264,
    ),
    'dual_swin_t': (
        75956580, 75956580, 363075030016,
        357364124852, 549776220160, 178845627392,
    ),
    'dual_swin_t_cascade': (
        113791782, 113791782, 841326038016,
        835939792052, 1202277801984, 505096418304,
    ),
    'dual_swin_s': (
        156427590, 156427590, 1025409518592,
        1015922226356, 1386361282560, 505096418304,
    ),
    'dual_swin_b_htc': (
        230890533, 230890533, 1016905741312,
        1004053518644, 1777795008512, 556915307520,
    ),
    'dual_swin_b': (
        234825765, 234825765, 1360576525312,
        1347871758644, 2129713891328, 732874748928,
    ),
    'dual_swin_l': (
        453008861, 453008861, 2181744198656,
        2162394646324, 2952847644672, 734840828928,
    ),
    'dual_swin_b_cascade': (
        232863778, 232863778, 1314188506112,
        1301378821044, 1676123310080, 506079458304,
    ),
    'single_r50': (
        41753056, 41527712, 206330352640,
        207065138100, 199349875712, 0,
    ),
    'single_res2net101_dcn': (
        91416380, 91173556, 329894208640,
        296138721100, 309426504832, 0,
    ),
    'single_swin_b_htc': (
        143003757, 143003757, 684006040576,
        677808651572, 887980000256, 0,
    ),
}  # fmt: skip


@pytest.fixture(scope='module')
def cost():
    """Count the cost of a config of the zoo, each config once."""
    found = {}

    def count(name):
        if name not in found:
            cfg = Config.fromfile(CONFIGS / f'{name}.py')
            found[name] = measure(cfg, SHAPE)
        return found[name]

    return count


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_figures(name, cost):
    total = cost(name).total
    figures = (total.trainable / 1e6, total.published / 1e9)
    assert tuple(map(round, figures)) == PUBLISHED[name]


@pytest.mark.parametrize('name', COUNTED)
def test_frozen(name, cost):
    found = cost(name)
    assert not found.uncounted
    assert astuple(found.total) == COUNTED[name]
    assert sum(found.kinds.values()) == found.total.macs


@pytest.mark.parametrize('name', COUNTED)
def test_rois(name, cost):
    found = cost(name)
    stages = 1 if name in ('dual_r50', 'dual_swin_t', 'single_r50') else 3
    rois = [(one.boxes, one.masks) for one in found.inference_rois]
    assert rois == [(1000, 100)] * stages
    rois = [(one.boxes, one.masks) for one in found.training_rois]
    assert rois == [(512, 128)] * stages


def test_parts_of_htc(cost):
    parts = cost('dual_swin_b_htc').parts
    assert list(parts) == [
        'stem',
        'member 0 (assistant)',
        'member 1 (lead)',
        'connection 0 -> 1',
        'neck',
        'rpn_head',
        'roi_head.bbox_head',
        'roi_head.mask_head',
        'roi_head.semantic_head',
    ]
    assert parts['stem'].parameters == 128 * (3 * 16 + 1) + 2 * 128
    assert parts['stem'].macs == 200 * 320 * 128 * 3 * 16
    # Every other edge is a 1x1 convolution with bias: 2**t * 128 channels
    # from 2**s * 128, at the assistant's resolution.
    edges = [(s, t) for t in range(4) for s in range(t + 1, 4)]
    connection = parts['connection 0 -> 1']
    assert connection.parameters == sum(
        128 * 2**s * 128 * 2**t + 128 * 2**t for s, t in edges
    )
    assert connection.macs == sum(
        128 * 2**s * 128 * 2**t * (200 >> s) * (320 >> s) for s, t in edges
    )


def test_deformable_convolutions_are_apart(cost):
    dual, single = cost('dual_res2net101_dcn'), cost('single_res2net101_dcn')
    assert dual.kinds[DEFORMABLE] == 2 * single.kinds[DEFORMABLE] > 0
    # Three 3x3 convolutions of 26 * 2**i channels (in place of one of four
    # groups) in each of the 4, 23 and 3 blocks of the last three stages;
    # the first of a stage has stride 2 in all of them.
    expected = 0
    for i, blocks in ((1, 4), (2, 23), (3, 3)):
        pixels = (200 >> i) * (320 >> i)
        expected += blocks * 3 * 9 * (26 * 2**i) ** 2 * pixels
    assert single.kinds[DEFORMABLE] == expected


def test_assistance_adds_no_parameters(cost):
    """The dual model has what the single one has, and the backbone's."""
    dual, single = cost('dual_swin_b_htc'), cost('single_swin_b_htc')
    assert single.parts['member 0 (lead)'].assistance == 0
    for name, part in single.parts.items():
        if name != 'member 0 (lead)':
            assert dual.parts[name].parameters == part.parameters
            assert dual.parts[name].macs == part.macs


@pytest.mark.parametrize('name', COUNTED)
def test_documented(name, cost):
    """The row of the table: published M and G, then our own counts."""
    rows = (ROOT / 'docs' / 'cost.md').read_text().splitlines()
    (row,) = (row for row in rows if row.startswith(f'| `{name}` |'))
    total, kinds = cost(name).total, cost(name).kinds
    figures = [
        total.trainable / 1e6,
        total.parameters / 1e6,
        total.published / 1e9,
        total.macs / 1e9,
        kinds.get(DEFORMABLE, 0) / 1e9,
        kinds.get(ATTENTION, 0) / 1e9,
        total.training / 1e9,
        total.assistance / 1e9,
    ]
    cells = [cell.strip() for cell in row.split('|')[2:-1]]
    published = PUBLISHED.get(name)
    assert cells[0] == ('{}, {}'.format(*published) if published else '-')
    assert cells[1:] == [f'{one:.1f}' if one else '-' for one in figures]
