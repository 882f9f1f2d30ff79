"""Curves of runs in one figure.

The losses of the lead and of each assistant, AP, learning rates, times and
memory have panels if they were logged; a panel shows at most the 12 largest
losses. Keys are found with and without the evaluator's prefix. Values are
drawn with their running means; runs differ in every panel, and dotted lines
mark where they were resumed.
"""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from cbnet.analysis.curve_figure import (
    choose_panels,
    draw_curves,
    panels_of,
)
from cbnet.analysis.log_curves import read_run

from .training_logs import train

LOSSES = {
    'loss_cls': 0.4,
    'loss_bbox': 0.3,
    'assist0.loss_cls': 0.2,
    'assist0.loss_bbox': 0.1,
    'assist1.loss_cls': 0.05,
    'assist0.acc': 90.0,
    'acc': 91.0,
}
FIGURES = {'coco/bbox_mAP': 0.3, 'coco/segm_mAP': 0.2, 'coco/bbox_mAP_50': 0.6}


@pytest.fixture
def dual(write_log):
    lines = [train(n, **LOSSES, data_time=0.1) for n in (10, 20, 30)]
    lines += [{**FIGURES, 'step': 0}]
    return read_run(write_log('dual', '20260101_000000', lines))


@pytest.fixture
def single(write_log, tmp_path):
    lines = [train(n, loss_cls=0.6, memory=900) for n in (10, 20, 30, 40)]
    write_log('single', '20260101_000000', lines[:2])
    write_log('single', '20260101_000001', lines[2:], 20)
    return read_run(tmp_path / 'single')


def test_panels_of_the_logged_curves(dual, single):
    panels = {panel.title: panel.keys for panel in choose_panels([dual])}
    assert panels == {
        'Total loss': ('loss',),
        'Losses of the lead': ('loss_cls', 'loss_bbox'),
        'Losses of assist0': ('assist0.loss_cls', 'assist0.loss_bbox'),
        'Losses of assist1': ('assist1.loss_cls',),
        'AP': ('coco/bbox_mAP', 'coco/segm_mAP'),
        'AP at IoU 0.5': ('coco/bbox_mAP_50',),
        'Learning rate': ('lr',),
        'Time per step': ('time', 'data_time'),
    }
    titles = [panel.title for panel in choose_panels([single])]
    assert titles[:2] == ['Total loss', 'Losses']
    assert titles[-1] == 'Memory, maximum so far'
    titles = [panel.title for panel in choose_panels([single, dual])]
    assert len(titles) == 9


def test_many_losses_are_cut_to_the_largest(write_log):
    losses = {f'd{n}.loss': float(n) for n in range(20)}
    run = read_run(write_log('x', '20260101_000000', [train(5, **losses)]))
    panel = choose_panels([run])[1]
    assert panel.title == 'Losses (12 largest of 20)'
    assert panel.keys == tuple(f'd{n}.loss' for n in range(8, 20))


def test_requested_keys(dual, single):
    panels = panels_of([single, dual], ['bbox_mAP', 'acc', 'coco/bbox_mAP'])
    assert [panel.keys for panel in panels] == [('coco/bbox_mAP',), ('acc',)]
    message = "no run logged 'nix'; there are lr, loss, .*memory.*bbox_mAP"
    with pytest.raises(ValueError, match=message):
        panels_of([single, dual], ['acc', 'nix'])


def drawn(axes):
    """Return the (values, colour, style) of the curves in axes."""
    return [
        (line.get_ydata(), to_hex(line.get_color()), line.get_linestyle())
        for line in axes.lines
        if len(line.get_xdata()) != 2 or line.get_xdata()[0] != 20
    ]


def test_the_values_are_drawn(dual, single):
    runs = [dual, single]
    panels = choose_panels(runs)
    figure = draw_curves(runs, ['dual', 'single'], panels)
    by_title = dict(zip([p.title for p in panels], figure.axes, strict=True))
    assert [axes.get_title('left') for axes in figure.axes] == list(by_title)
    curves = drawn(by_title['Total loss'])
    assert [len(values) for values, *_ in curves] == [3, 4]
    assert np.allclose(curves[0][0], [1, 1 / 2, 1 / 3])
    # one curve per run: a colour for each run
    assert curves[0][1] != curves[1][1]
    lead = drawn(by_title['Losses of the lead'])
    assert [curve[0][0] for curve in lead] == [0.4, 0.3, 0.6]
    # several curves per run: a colour for each loss, a style for each run
    assert lead[0][1] == lead[2][1] != lead[1][1]
    assert lead[0][2] == lead[1][2] != lead[2][2]
    # a single evaluation is a point
    assert by_title['AP'].lines[0].get_marker() not in (None, 'None')
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ['dual', 'single (resumed at 20)']
    for axes in figure.axes:
        marks = [line for line in axes.lines if line.get_linestyle() == ':']
        assert [list(mark.get_xdata()) for mark in marks] == [[20, 20]]
    figure.canvas.draw()


def test_smoothing_keeps_the_values_behind(dual):
    panels = panels_of([dual], ['loss', 'lr', 'bbox_mAP'])
    figure = draw_curves([dual], ['dual'], panels, smooth=2)
    loss, *others = figure.axes
    raw, mean = loss.lines
    assert np.allclose(raw.get_ydata(), [1, 1 / 2, 1 / 3])
    assert np.allclose(mean.get_ydata(), [1, 3 / 4, 5 / 12])
    assert raw.get_alpha() < 0.5
    assert [len(axes.lines) for axes in others] == [1, 1]
    assert '2 logged' in figure.legends[0].get_title().get_text()
