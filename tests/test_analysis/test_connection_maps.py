"""What members compute and what connections add, kept and drawn.

Every style, two and three members, none, some and all stages shared, odd
sizes: maps, edges and strengths equal those reckoned by hand; the composite
is left as it was, after an error too; the picture says the sizes, edges and
strengths, and that untrained connections add zero.
"""

import pytest
import torch

from cbnet.analysis.connection_maps import connection_maps
from cbnet.analysis.connection_picture import draw_connections
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
    """Draw without an input worth looking at; give all texts."""

    def run(members, title='a title'):
        pixels = torch.zeros(*SIZE, 3, dtype=torch.uint8).numpy()
        figure = draw_connections(pixels, members, title)
        figure.canvas.draw()
        written = [*figure.texts]
        for axes in figure.axes:
            written += axes.texts
        return [text.get_text() for text in written], figure

    return run


@torch.no_grad()
def by_hand(model, image):
    """Stage inputs and outputs of every member, from its own modules."""
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


def test_the_composite_stays_as_it_was(image):
    model = make(num_members=3)
    adapters = model.adapters
    with torch.no_grad():
        before = model(image)
    connection_maps(model, image)
    assert model.adapters is adapters
    with torch.no_grad():
        after = model(image)
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other)
    with pytest.raises(RuntimeError):
        connection_maps(model, image[:, :2])
    assert model.adapters is adapters
    assert not any(c._forward_hooks for c in model.connections)


def test_picture_says_what_it_shows(image, draw):
    members = connection_maps(make(num_members=3, shared_stages=1), image)
    texts, figure = draw(members)
    for text in (
        'a title', 'stem', 'stage 3', 'member 0', 'member 2',
        'connection 0 → 1', 'connection 1 → 2', '1→1  2→1  3→1', '3→3',
        '8×16×21, stride 4', '64×2×3, stride 32', 'the input: 3×61×83',
    ):  # fmt: skip
        assert text in texts, text
    # members 1 and 2: stem and stage 0; their stage 0 has no own input
    assert sum('that of member 0' in text for text in texts) == 4
    assert sum('no input of its own' in text for text in texts) == 2
    strength = members[1].added[3].strength
    largest = members[1].added[3].map.values.max()
    assert f'strength {strength:#.2g}, 0 to {largest:.3g}' in texts
    assert not any('untrained' in text or text == 'adds 0' for text in texts)
    assert members[1].outputs[3].values.max() > 0
    # no line of text lies over another, nor outside
    extents = [text.get_window_extent() for text in figure.texts]
    extents = [extent for extent in extents if extent.width]
    for number, extent in enumerate(extents):
        assert extent.count_overlaps(extents[:number]) == 0
        assert 0 <= extent.x0 and extent.x1 <= figure.bbox.width


def test_untrained_connections_are_told(image, draw):
    texts, _ = draw(connection_maps(make(random=False), image))
    assert texts.count('adds 0') == 4
    assert 'add zero everywhere: they are untrained' in texts[1]


def test_edges_from_the_stem_and_stages_without_an_edge(image, draw):
    texts, _ = draw(connection_maps(make(style='allc'), image))
    assert 'stem→1' in texts and texts.count('no edge') == 1


def test_one_member_and_a_long_title(image, draw):
    title = 'long ' * 80
    texts, figure = draw(connection_maps(make(num_members=1), image), title)
    assert 'One member: there is nothing to connect.' in texts
    extent = figure.texts[0].get_window_extent()
    assert extent.x1 <= figure.bbox.width


def test_another_family(image, draw):
    model = make(member='timm_efficientnet', num_members=2, shared_stages=None)
    members = connection_maps(model, image)
    assert {'TimmBackbone'} == {member.backbone for member in members}
    draw(members)
