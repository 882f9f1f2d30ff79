"""The model zoo of this repository.

1. Its pages agree with the metafiles and configs.
2. Every config has an entry, and every entry has a config.
3. Every figure is published, converted or measured, with a known source.
4. The published figures and files are exactly those of the table below, which
   is a second copy, typed independently of the metafile.
5. The tables show the published recipes, and name small data sets as such.
6. Costs that are marked as measured equal the counter's.
7. Figures in the comments of configs are those of the metafile.
8. Figures of others are never marked as measured here.
"""

import re
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from zoo.entries import MARKS, read_zoo
from zoo.pages import find_stale

from cbnet.analysis.complexity import measure

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs' / 'cbnet'
VAL, TEST = 'COCO-val2017', 'COCO-test-dev'
R2 = 'cascade_rcnn_cbv2d1_r2_101_mdconv_fpn_20e_fp16_ms400-1400_'
SWIN_B = 'htc_cbv2_swin_base22k_patch4_window7_mstrain_400-1400_'

# box AP on val2017 and test-dev, mask AP on both, M, GFLOPs, published file
PUBLISHED = {
    'dual_r50': (
        *(40.8, None, None, None, 69, 284),
        'faster_rcnn_cbv2d1_r50_fpn_1x_coco',
    ),
    'dual_res2net101_dcn': (
        *(53.7, None, None, None, 141, 429),
        f'{R2}coco',
    ),
    'dual_res2net101_dcn_swa': (
        *(54.8, 55.3, None, None, 141, 429),
        f'{R2}coco_swa',
    ),
    'dual_res2net101_dcn_4conv1fc': (
        *(54.1, None, None, None, 146, 774),
        f'{R2}giou_4conv1f_coco',
    ),
    'dual_res2net101_dcn_4conv1fc_swa': (
        *(55.3, 55.6, None, None, 146, 774),
        f'{R2}giou_4conv1f_coco_swa',
    ),
    'dual_swin_t': (
        *(50.2, None, 44.5, None, 76, 357),
        'mask_rcnn_cbv2_swin_tiny_patch4_window7_mstrain_480-800_'
        'adamw_3x_coco',
    ),
    'dual_swin_t_cascade': (
        *(53.6, None, 46.2, None, 114, 836),
        'cascade_mask_rcnn_cbv2_swin_tiny_patch4_window7_mstrain_480-800_'
        'adamw_3x_coco',
    ),
    'dual_swin_s': (
        *(56.3, 56.9, 48.6, 49.1, 156, 1016),
        'cascade_mask_rcnn_cbv2_swin_small_patch4_window7_mstrain_400-1400_'
        'adamw_3x_coco',
    ),
    'dual_swin_b_htc': (
        *(57.9, None, 50.2, None, 231, 1004),
        f'{SWIN_B}adamw_20e_coco',
    ),
    'dual_swin_b_htc_swa': (
        *(58.2, 58.6, 50.4, 51.1, 231, 1004),
        f'{SWIN_B}adamw_20e_coco_swa',
    ),
    'dual_swin_b': (
        *(58.4, 58.7, 50.7, 51.1, 235, 1348),
        f'{SWIN_B}giou_4conv1f_adamw_20e_coco',
    ),
    'dual_swin_l': (
        *(59.1, 59.4, 51.0, 51.6, 453, 2162),
        f'{SWIN_B.replace("base", "large")}giou_4conv1f_adamw_1x_coco',
    ),
}
COLUMNS = (
    *((VAL, 'box AP'), (TEST, 'box AP'), (VAL, 'mask AP'), (TEST, 'mask AP')),
    *(('COCO', 'Parameters (M)'), ('COCO', 'FLOPs (G)')),
)
# the same four, at four scales and flipped
PUBLISHED_TTA = {
    'dual_swin_b': (58.9, 59.3, 51.3, 51.8),
    'dual_swin_l': (59.6, 60.1, 51.8, 52.3),
}
# optimizer, rate, GPUs x images, epochs, training and test sizes
SGD = ('SGD, mixed precision', '0.02', '8 x 2 = 16')
ADAMW_16 = ('AdamW, mixed precision', '1e-4', '8 x 2 = 16')
ADAMW_8 = ('AdamW, mixed precision', '5e-5', '8 x 1 = 8')
LARGE = ('1600 x 400-1400', '1600 x 1400')
DETR = ('1333 x 480-800', '1333 x 800')
RECIPES = {
    'dual_r50': (
        *('SGD', '0.02', '8 x 2 = 16', '12'),
        *('1333 x 800', '1333 x 800'),
    ),
    'dual_res2net101_dcn': (*SGD, '20', *LARGE),
    'dual_res2net101_dcn_4conv1fc': (*SGD, '20', *LARGE),
    'dual_res2net101_dcn_swa': (*SGD, '20 + 12', *LARGE),
    'dual_res2net101_dcn_4conv1fc_swa': (*SGD, '20 + 12', *LARGE),
    'dual_swin_t': (*ADAMW_16, '36', *DETR),
    'dual_swin_t_cascade': (*ADAMW_16, '36', *DETR),
    'dual_swin_s': (*ADAMW_8, '36', *LARGE),
    'dual_swin_b_cascade': (*ADAMW_8, '36', *LARGE),
    'dual_swin_b_htc': (*ADAMW_8, '20', *LARGE),
    'dual_swin_b_htc_swa': (*ADAMW_8, '20 + 12', *LARGE),
    'dual_swin_b': (*ADAMW_8, '20', *LARGE),
    'dual_swin_l': (*ADAMW_8, '12', *LARGE),
}


@pytest.fixture(scope='module')
def zoo():
    return read_zoo(ROOT)


def rows_of(page, block):
    """Return the rows of a block: name of the config -> cell by heading."""
    text = (ROOT / page).read_text(encoding='utf-8')
    text = text.split(f'<!-- model zoo: {block} -->\n')[1]
    lines = text.split('<!-- end of')[0].strip().splitlines()
    head, _, *rows = ([c.strip() for c in ln.split('|')[1:-1]] for ln in lines)
    cells = [dict(zip(head, row, strict=True)) for row in rows]
    return {
        re.sub(r'\[`(\w+)`\]\(\S+\)', r'\1', c['config']): c for c in cells
    }


def test_pages_are_fresh():
    stale = find_stale(ROOT)
    assert not stale, (
        f'{", ".join(stale)}: stale; run: python tools/misc/model_zoo.py'
    )


def test_every_config_has_an_entry_and_every_entry_a_config(zoo):
    assert zoo.metafiles == ['configs/cbnet/metafile.yml']
    expected = {p.relative_to(ROOT).as_posix() for p in CONFIGS.glob('*.py')}
    assert {entry.config for entry in zoo.entries.values()} == expected


def test_every_figure_is_marked(zoo):
    # The raw file, so that nothing is skipped while reading it.
    content = yaml.safe_load((CONFIGS / 'metafile.yml').read_text())
    holders = [*content['Models'], *content['Collections']]
    marked = [r for h in holders for r in h.get('Results', ())]
    marked += [r for h in holders for r in h.get('Reports', ())]
    assert len(marked) > 50
    for result in marked:
        assert result['Mark'] in MARKS, result
        assert result['Source'] in content['Sources'], result
    # Figures stand nowhere else.
    for model in content['Models']:
        assert set(model['Metadata']) <= {
            *('Detector', 'Member', 'Pretrained On', 'Training Data'),
            *(
                'Published File',
                'Twin Of',
                'Variant Of',
                'Continues',
                'Featured',
            ),
        }


def test_published_figures(zoo):
    found = {
        (name, *key): figure.value
        for name, entry in zoo.entries.items()
        for key, figure in entry.figures.items()
        if figure.source in ('repository', 'paper')
    }
    expected = {}
    for name, (*figures, _) in PUBLISHED.items():
        for key, value in zip(COLUMNS, figures, strict=True):
            expected[(name, *key)] = value
    for name, figures in PUBLISHED_TTA.items():
        for (dataset, ap), value in zip(COLUMNS, figures, strict=False):
            expected[name, dataset, f'{ap} TTA'] = value
    assert found == {k: v for k, v in expected.items() if v is not None}


def test_what_others_published_is_marked_so(zoo):
    figures = [f for e in zoo.entries.values() for f in e.figures.values()]
    figures += [report.figure for report in zoo.reports]
    ours = {'cost', 'quickstart', 'balloon'}
    for figure in figures:
        assert (figure.mark == 'published') == (figure.source not in ours)


def test_published_files():
    rows = rows_of('docs/model_zoo.md', 'published')
    where = 'https://github.com/CBNetwork/storage/releases/download/v1.0.0/'
    for name, row in rows.items():
        if name in PUBLISHED:
            file = PUBLISHED[name][-1]
            link = f'[.pth.zip]({where}{file}.pth.zip)'
            assert row['published file'] == link
        else:
            assert row['published file'] in ('-', '')


def test_the_docs_show_the_published_recipes():
    rows = rows_of('docs/model_zoo.md', 'recipes')
    assert set(RECIPES) < set(rows)
    for name, expected in RECIPES.items():
        _, *found, memory, _ = rows[name].values()
        assert tuple(found) == expected, name
        assert memory == '-'  # not published


def test_the_readme_shows_figures_with_marks():
    rows = rows_of('README.md', 'models')
    _, *cells = rows['dual_swin_b'].values()
    assert cells == [
        *('HTC, 4conv1fc, 2 x Swin-B', '58.4ᵖ / 58.7ᵖ', '50.7ᵖ / 51.1ᵖ'),
        *('235ᵖ', '1348ᵖ'),
    ]
    assert rows['dual_r50']['mask AP'] == '-'
    # Figures on small data must not look like those on COCO.
    assert rows['quickstart']['box AP'] == '64.3ᵐ, 80 generated images'
    figures = [row[c] for row in rows.values() for c in ('M', 'GFLOPs')]
    assert all(re.fullmatch(r'[\d.]+[ᵖᵐ]', figure) for figure in figures)


def test_retrainings_that_fell_short_are_shown():
    page = (ROOT / 'docs' / 'model_zoo.md').read_text(encoding='utf-8')
    reports = page.split('model zoo: reports -->')[1]
    assert '55.2ᵖ' in reports and '55.8ᵖ' in reports
    assert 'swin_base_patch4_window7_224_22k.pth' in page


@pytest.mark.parametrize('name', ['single_r50_mask', 'dual_lite0'])
def test_measured_costs(name, zoo):
    found = measure(Config.fromfile(CONFIGS / f'{name}.py'), (800, 1280)).total
    counted = (found.trainable / 1e6, found.published / 1e9)
    for (_, metric), count in zip(COLUMNS[-2:], counted, strict=True):
        figure = zoo.entries[name].find(metric)
        assert figure.mark == 'measured'
        digits = 1 if isinstance(figure.value, float) else 0
        assert figure.value == round(count, digits)


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.py')), ids=str)
def test_figures_in_comments_of_configs(path, zoo):
    text = re.sub(r'\n# ?', ' ', path.read_text())
    figures = zoo.entries[path.stem].figures
    for value, metric in re.findall(r'(\d+\.\d) (box AP|mask AP)', text):
        assert figures[VAL, metric].value == float(value)
