"""The maps of members and connections, and the figure that shows them.

For every style, two and three members, and no, some and all stages shared,
maps, edges and strengths equal those computed by hand. The composite does not
change, not even after an error. The figure states sizes, edges and strengths,
and says if connections add zero because they are untrained.
"""

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from cbnet.analysis.connection_figure import draw_connections
from cbnet.analysis.connection_maps import connection_maps
from cbnet.models.backbones.connections import STEM, STYLES, style_edges
from cbnet.testing import build_model, tiny_composite

SIZE = (61, 83)
CHANNELS = {STEM: 8, 0: 8, 1: 16, 2: 32, 3: 64}


def make(random=True, member='resnet', **options):
    model = build_model(tiny_composite(member, **options)).eval()
    if random:
        for weight in model.connections.parameters():
            torch.nn.init.normal_(weight)
    return model


@pytest.fixture
def image():
    return torch.randn(1, 3, *SIZE)


@pytest.fixture
def draw():
    """Draw an empty input; return all texts and the figure."""

    def run(members, title='a title'):
        pixels = torch.zeros(*SIZE, 3, dtype=torch.uint8).numpy()
        figure = draw_connections(pixels, members, title)
        FigureCanvasAgg(figure).draw()
        texts = [t for t in figure.findobj(Text) if t.get_text().strip()]
        return texts, figure

    return run


def lines(texts):
    return [line for text in texts for line in text.get_text().splitlines()]


@torch.no_grad()
def by_hand(model, image):
    """Compute stage inputs and outputs of every member from its modules."""
    inputs, outputs = [], []
    for k, adapter in enumerate(model.adapters):
        own = model.shared_stages or 0
        shares = k > 0 and model.shared_stages is not None
        given, made = {}, {}
        if shares:
            made = {i: outputs[0][i] for i in range(STEM, own)}
            x = made[own - 1]
        else:
            own = 0
            made[STEM] = x = adapter.stem(image)
        for i in range(own, 4):
            given[i] = x
            added = None
            if k:
                added = model.connections[k - 1](
                    outputs[k - 1], i, x.shape[-2:]
                )
            x = x if added is None else x + added
            made[i] = x = adapter.run_stage(i, x)
        inputs.append(given)
        outputs.append(made)
    return inputs, outputs


@pytest.mark.parametrize('style', STYLES)
@pytest.mark.parametrize(
    ('num_members', 'shared_stages'), [(2, None), (3, 0), (3, 2)]
)
def test_maps_edges_and_strengths(style, num_members, shared_stages, image):
    model = make(
        style=style, num_members=num_members, shared_stages=shared_stages
    )
    members = connection_maps(model, image)
    inputs, outputs = by_hand(model, image)
    assert len(members) == num_members
    own = shared_stages or 0
    for k, member in enumerate(members):
        assert member.backbone == 'ResNet'
        first = STEM if k == 0 or shared_stages is None else own
        assert sorted(member.outputs) == list(range(first, 4))
        for i, shown in member.outputs.items():
            expected = outputs[k][i][0].abs().mean(0).numpy()
            assert shown.values == pytest.approx(expected, rel=1e-4, abs=1e-6)
            assert shown.channels == CHANNELS[i]
            # strides of the whole image in positions, rounded up
            assert shown.values.shape[0] == -(-SIZE[0] // shown.stride)
        if k == 0:
            assert not member.added
            continue
        edges = [e for e in style_edges(style, 4) if e[1] >= own]
        found = [edge for one in member.added.values() for edge in one.edges]
        assert sorted(found) == sorted(edges)
        for i, one in member.added.items():
            x = inputs[k][i]
            with torch.no_grad():
                added = model.connections[k - 1](
                    outputs[k - 1], i, x.shape[-2:]
                )
            expected = added[0].abs().mean(0).numpy()
            assert one.map.values == pytest.approx(expected, rel=1e-4)
            assert one.map.stride == model.adapters[k].specs[i].in_stride
            strength = float(added.norm() / x.norm())
            assert one.strength == pytest.approx(strength, rel=1e-3)
            assert strength > 0.01


def test_the_composite_does_not_change(image):
    model = make(num_members=3)
    adapters = [dict(vars(adapter)) for adapter in model.adapters]
    with torch.no_grad():
        before = model(image)
    connection_maps(model, image)
    assert [vars(adapter) for adapter in model.adapters] == adapters
    with torch.no_grad():
        after = model(image)
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other)
    with pytest.raises(RuntimeError):
        connection_maps(model, image[:, :2])
    assert [vars(adapter) for adapter in model.adapters] == adapters


def test_figure_says_what_it_shows(image, draw):
    members = connection_maps(make(num_members=3, shared_stages=1), image)
    texts, figure = draw(members)
    written = lines(texts)
    for line in (
        'a title', 'stem', 'stage 3', 'input: 3×61×83',
        'member 0 (assistant, ResNet): stage outputs',
        'member 2 (lead, ResNet): stage outputs',
        'connection 0 → 1: added to the stage inputs of member 1',
        'connection 1 → 2: added to the stage inputs of member 2',
        '1→1  2→1  3→1', '3→3', '8×16×21, stride 4', '64×2×3, stride 32',
    ):  # fmt: skip
        assert line in written, line
    # members 1 and 2: stem and stage 0; their stage 0 has no own input
    assert written.count('from member 0') == 4
    assert written.count('no input of its own') == 2
    strength = members[1].added[3].strength
    largest = members[1].added[3].map.values.max()
    assert f'strength {strength:.2g}, 0 to {largest:.3g}' in written
    assert not any('untrained' in line or line == 'adds 0' for line in written)
    assert members[1].outputs[3].values.max() > 0
    # no text lies over another or outside
    extents = [text.get_window_extent() for text in texts]
    for number, extent in enumerate(extents):
        assert extent.count_overlaps(extents[:number]) == 0
        assert 0 <= extent.x0 and extent.x1 <= figure.bbox.width
        assert 0 <= extent.y0 and extent.y1 <= figure.bbox.height


def test_untrained_connections_are_named(image, draw):
    written = lines(draw(connection_maps(make(random=False), image))[0])
    assert written.count('adds 0') == 4
    assert any('add zero everywhere: they are untrained' in w for w in written)


def test_edges_from_the_stem_and_stages_without_an_edge(image, draw):
    written = lines(draw(connection_maps(make(style='allc'), image))[0])
    assert 'stem→1' in written and written.count('no edge') == 1


def test_one_member_and_a_long_title(image, draw):
    title = 'long ' * 80
    members = connection_maps(make(num_members=1), image)
    texts, figure = draw(members, title)
    assert 'One member: there is nothing to connect.' in lines(texts)
    (extent,) = (
        text.get_window_extent() for text in texts if 'long' in text.get_text()
    )
    assert 0 <= extent.x0 and extent.x1 <= figure.bbox.width


def test_another_family(image, draw):
    model = make(member='timm_efficientnet', num_members=2, shared_stages=None)
    members = connection_maps(model, image)
    assert {'TimmBackbone'} == {member.backbone for member in members}
    draw(members)
