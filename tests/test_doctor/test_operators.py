"""The operators of mmcv and their sources.

Scenarios: every operator that mmcv's files ask for is listed, served ones
with their source; one name for a family whose operators share a source, full
names where they do not; the order of the sources.
"""

from cbnet.compat import served_ops
from cbnet.doctor.facts import list_operators
from cbnet.doctor.report import group_by_source


def test_sources():
    sources = list_operators()['sources']
    assert list(sources) == sorted(sources)
    assert set(served_ops()) <= set(sources)
    assert {sources[name] for name in served_ops()} == {'torchvision', 'torch'}
    assert {name: sources[name] for name in served_ops()} == served_ops()
    others = set(sources) - set(served_ops())
    assert {'knn_forward', 'three_nn_forward'} <= others
    assert {sources[name] for name in others} == {'not served'}


def test_groups():
    groups = group_by_source(
        {
            'roi_pool_backward': 'torch',
            'roi_pool_forward': 'torchvision',
            'nms': 'torchvision',
            'deform_conv_forward': 'torch',
            'deform_conv_backward_input': 'torch',
            'deform_conv_backward_parameters': 'torch',
            'knn_forward': 'not served',
        }
    )
    assert list(groups.items()) == [
        ('torchvision', ['nms', 'roi_pool_forward']),
        ('torch', ['deform_conv', 'roi_pool_backward']),
        ('not served', ['knn']),
    ]
