"""Near matches: case does not count, nothing far off is offered."""

import pytest

from cbnet.messages import did_you_mean

NAMES = ('slc', 'ahlc', 'allc', 'dhlc', 'MaskRCNN')


@pytest.mark.parametrize(
    ('found', 'offer'),
    [
        ('DHLC', "; did you mean 'dhlc' or 'ahlc'?"),
        ('maskrcn', "; did you mean 'MaskRCNN'?"),
        ('xyz', ''),
        ('', ''),
        (3, ''),
    ],
)
def test_offers(found, offer):
    assert did_you_mean(found, NAMES) == offer
