"""Images of 16 bits that are loaded almost black are noticed, once.

- 12 bits in a PNG or TIFF of 16, grey or in colour: the file, the range of
  its values, what they become, and how many images;
- the full range, 8 bits, other formats and broken files: nothing.
"""

import mmcv
import numpy as np
import pytest

from cbnet.datasets.bit_depths import LOOKED_AT, describe_dark


def write(folder, name, highest, bits=16, colour=True):
    kind = np.uint16 if bits == 16 else np.uint8
    shape = (4, 5, 3) if colour else (4, 5)
    image = np.linspace(0, highest, int(np.prod(shape))).astype(kind)
    mmcv.imwrite(image.reshape(shape), str(folder / name))
    return folder / name


@pytest.mark.parametrize('colour', [True, False])
@pytest.mark.parametrize('name', ['a.png', 'a.tif'])
def test_12_bits(tmp_path, name, colour):
    path = write(tmp_path, name, 4095, colour=colour)
    write(tmp_path, 'b.png', 65535)
    assert mmcv.imread(str(path)).max() in (15, 16)
    assert describe_dark([name, 'b.png'], tmp_path) == (
        f'{path} has 16 bits, and values up to 4095, which are loaded as 0 to '
        f'15 of 255 (1 of 2 images that were looked at); stretch the '
        f'values to 0 to 65535, or save them with 8 bits'
    )


def test_nothing_to_say(tmp_path):
    write(tmp_path, 'full.png', 65535)
    write(tmp_path, 'dark.png', 15, bits=8)
    write(tmp_path, 'dark.tif', 15, bits=8)
    write(tmp_path, 'dark.jpg', 15, bits=8)
    whole = write(tmp_path, 'cut.png', 4095).read_bytes()
    (tmp_path / 'cut.png').write_bytes(whole[:40])
    (tmp_path / 'empty.png').touch()
    names = 'full.png dark.png dark.tif dark.jpg cut.png empty.png gone.png'
    assert describe_dark(names.split(), tmp_path) == ''


def test_many_images_are_sampled(tmp_path):
    path = write(tmp_path, 'a.png', 4095)
    for number in (1, LOOKED_AT, LOOKED_AT + 1, 10_000):
        names = [path.name] * (number - 1) + ['gone.png']
        looked_at = describe_dark([path, *names])
        looked_at = int(looked_at.split(' of ')[2].split()[0])
        assert min(number, LOOKED_AT / 2) <= looked_at <= LOOKED_AT
